package reports

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// SafeLimit is the greatest number of characters that Safe returns.
const SafeLimit = 1000

// maxMarks is how many combining marks may follow one another before they are
// spelled out: more than any script needs, fewer than it takes to paint over
// the neighbouring lines.
const maxMarks = 4

// Safe makes any string safe to show on a terminal, on one line. Control
// characters (ESC, C1 and line breaks among them), bidirectional overrides and
// what cannot be seen are shown as escapes (\x1b, \n, \u202e), bytes that are not
// UTF-8 as \xff, and what is longer than SafeLimit is cut with a word that says
// so. Safe of a safe string is the string itself.
func Safe(s string) string {
	// Most strings are short and plain: return them without a copy.
	if len(s) <= SafeLimit && isPlain(s) {
		return s
	}
	return bounded(visible(s), SafeLimit)
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// visible is Safe without a limit, for formats that must not lose anything.
func visible(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	marks := 0
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				fmt.Fprintf(&b, `\x%02x`, s[i])
				marks = 0
				continue
			}
		}
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		if isVisible(r) && marks <= maxMarks {
			b.WriteRune(r)
		} else {
			b.WriteString(escape(r))
		}
	}
	return b.String()
}

// isVisible says that a character shows itself and changes nothing around it.
// All format characters (Cf) fail, joiners and soft hyphens too: two names that
// look alike but differ must look different in a report.
func isVisible(r rune) bool {
	switch r {
	case 0x115f, 0x1160, 0x3164, 0xffa0: // Hangul fillers: letters that show nothing
		return false
	case 0x2800: // Braille blank
		return false
	case 0x034f: // combining grapheme joiner: a mark that shows nothing
		return false
	}
	if unicode.Is(unicode.Variation_Selector, r) {
		return false
	}
	return unicode.IsGraphic(r)
}

func escape(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	switch {
	case r <= 0x7f:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

// bounded cuts s to limit characters, the note about it included.
func bounded(s string, limit int) string {
	n := utf8.RuneCountInString(s)
	if n <= limit {
		return s
	}
	note := fmt.Sprintf("… [%d characters in all]", n)
	keep := limit - utf8.RuneCountInString(note)
	for i := range s {
		if keep == 0 {
			return s[:i] + note
		}
		keep--
	}
	return s
}

// shorten cuts a safe string to a display width, with an ellipsis.
func shorten(s string, width int) string { return displaywidth.TruncateString(s, width, "…") }

// displayWidth is the number of terminal columns of a safe string. Characters
// whose width depends on the locale count as narrow, whatever the locale: the
// same input gives the same bytes on every machine.
func displayWidth(s string) int { return displaywidth.String(s) }

// wrap breaks a safe string into lines of at most width columns: between words,
// else after a character at which a name or an ARN reads on well, else anywhere.
func wrap(s string, width int) []string {
	var lines []string
	line, used := "", 0
	flush := func() { lines, line, used = append(lines, line), "", 0 }
	for word := range strings.FieldsSeq(s) {
		w := displayWidth(word)
		switch {
		case used == 0 && w <= width:
			line, used = word, w
			continue
		case used > 0 && used+1+w <= width:
			line, used = line+" "+word, used+1+w
			continue
		}
		if used > 0 {
			flush()
		}
		for w > width {
			head := breakWord(word, width)
			lines = append(lines, head)
			word = word[len(head):]
			w = displayWidth(word)
		}
		line, used = word, w
	}
	if used > 0 || len(lines) == 0 {
		flush()
	}
	return lines
}

// Wrap breaks a text into lines of at most width columns, between words where it can.
func Wrap(s string, width int) []string { return wrap(Safe(s), width) }

// WrapCommand breaks a command into lines of at most width columns that can be typed
// as they stand.
func WrapCommand(s string, width int) []string { return wrapCommand(Safe(s), width) }

// breakWord returns the part of a word that goes on a line of its own. It takes
// at least one character, however narrow the line.
func breakWord(word string, width int) string {
	var hard, soft, used int
	g := displaywidth.StringGraphemes(word)
	for g.Next() {
		c := g.Value()
		if used += g.Width(); used > width && hard > 0 {
			break
		}
		hard += len(c)
		if strings.Contains(`-/:.,_=&`, c) {
			soft = hard
		}
	}
	// A break that leaves most of the line empty is worse than a hard one.
	if soft*2 > hard {
		return word[:soft]
	}
	return word[:hard]
}

// isCommand says that a text is to be typed into a shell rather than read.
func isCommand(s string) bool {
	return strings.HasPrefix(s, "orgguard ") || strings.HasPrefix(s, "aws ")
}

// wrapCommand wraps a command so that it can be copied: a line that goes on ends
// in a backslash, because the first half of a command typed alone may do more
// than the whole. A quoted argument is never broken. A comment after it is one on
// every line: a backslash does not go on with a comment, and its second half would
// be a command.
func wrapCommand(s string, width int) []string {
	if displayWidth(s) <= width {
		return []string{s}
	}
	var lines []string
	if command, comment, ok := strings.Cut(s, " # "); ok {
		lines = wrapCommand(strings.TrimRight(command, " "), width)
		for _, l := range wrap(comment, width-2) {
			lines = append(lines, "# "+l)
		}
		return lines
	}
	line := ""
	for _, word := range shellWords(s) {
		if line != "" && displayWidth(line)+1+displayWidth(word)+2 > width {
			lines, line = append(lines, line+` \`), "  "+word
			continue
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// shellWords splits at spaces outside quotes and keeps the quotes.
func shellWords(s string) []string {
	var words []string
	start, quote := 0, rune(0)
	for i, r := range s {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '\'' || r == '"':
			quote = r
		case r == ' ':
			if i > start {
				words = append(words, s[start:i])
			}
			start = i + 1
		}
	}
	if start < len(s) {
		words = append(words, s[start:])
	}
	return words
}

// Count writes a number with its noun: "1 account", "1,234 accounts".
func Count(n int, one, many string) string { return count(n, one, many) }

// count is Count.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// enumerate joins words as a sentence does: "a, b and c".
func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// few joins words, or counts them when they are more than limit.
func few(words []string, limit int, one, many string) string {
	if len(words) > limit {
		return count(len(words), one, many)
	}
	return strings.Join(words, ", ")
}

package spec

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// fill repeats what item makes until the text is a quarter of what a file may
// be: enough to show what grows with the square, and quick with -race.
func fill(head string, item func(i int) string, tail string) []byte {
	var b strings.Builder
	b.WriteString(head)
	for i := 0; ; i++ {
		next := item(i)
		if b.Len()+len(next)+len(tail) > maxBytes/4 {
			break
		}
		b.WriteString(next)
	}
	b.WriteString(tail)
	return []byte(b.String())
}

func TestLargeFilesAreReadInTime(t *testing.T) {
	same := func(s string) func(int) string { return func(int) string { return s } }
	for name, data := range map[string][]byte{
		"open lists":      fill("", same("["), ""),
		"open maps":       fill("", same("{a: "), ""),
		"nested blocks":   fill("", func(i int) string { return strings.Repeat(" ", i) + "a:\n" }, ""),
		"dashes":          fill("", same("- "), ""),
		"unknown keys":    fill("", func(i int) string { return fmt.Sprintf("k%d: 1\n", i) }, ""),
		"duplicate keys":  fill("", same("a: 1\n"), ""),
		"long key":        fill("", same("x"), ": 1\n"),
		"comments":        fill("", same("# x\n"), "version: 1\n"),
		"key comments":    fill("version: 1 # x\n", same("# x\n"), ""),
		"emails":          fill("version: 1\nalerts: {email: [", func(i int) string { return fmt.Sprintf("a%d,", i) }, "]}\n"),
		"OUs":             fill("version: 1\nscp: {protect-config: {attach: [", func(i int) string { return fmt.Sprintf("a%d,", i) }, "]}}\n"),
		"Regions":         fill("version: 1\nregions: [", func(i int) string { return fmt.Sprintf("us-%d,", i) }, "]\n"),
		"exclusions":      fill("version: 1\norganization: {exclude: [", same("{},"), "]}\n"),
		"controls":        fill("version: 1\nbaseline: {", func(i int) string { return fmt.Sprintf("config-%d: {},", i) }, "}\n"),
		"stars in a role": fill("version: 1\nscp: {protect-config: {exempt_roles: ['", same("*/"), "']}}\n"),
		"aliases":         fill("version: 1\na: &a [", same("*a,"), "]\n"),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse("f", data, known)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %s", took)
			} else {
				t.Logf("%s, %.100v", took, err)
			}
		})
	}
	if _, err := Parse("f", make([]byte, maxBytes+1), known); err == nil || err.Error() != "f: larger than 1048576 bytes: not a configuration of orgguard" {
		t.Errorf("a larger file: %v", err)
	}
}

package reports

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSafe(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain text stays", "shop-prod (Tokyo) #1", "shop-prod (Tokyo) #1"},
		{"nothing stays nothing", "", ""},
		{"other scripts stay", "日本語 Ünïcode Ελληνικά", "日本語 Ünïcode Ελληνικά"},
		{"escape sequences are shown", "\x1b[31mred\x07", `\x1b[31mred\x07`},
		{"line breaks are shown", "a\nb\r\nc\td", `a\nb\r\nc\td`},
		{"C1 controls are shown", "\u009b31m", `\u009b31m`},
		{"NUL and DEL are shown", "\x00\x7f", `\x00\x7f`},
		{"bidirectional overrides are shown", "\u202etxt.exe", `\u202etxt.exe`},
		{"what has no width is shown", "a\u200bb\ufeff\u00ad", `a\u200bb\ufeff\u00ad`},
		{"line separators are shown", "a\u2028b\u2029c\u0085", `a\u2028b\u2029c\u0085`},
		{"tag characters are shown", "a\U000e0041", `a\U000e0041`},
		{"letters that show nothing are shown", "\u3164\u2800", `\u3164\u2800`},
		{"variation selectors are shown", "a\ufe0f", `a\ufe0f`},
		{"bytes that are no text are shown", "a\xffb\xc0\xaf", `a\xffb\xc0\xaf`},
		{"the replacement character is a character", "a\ufffd", "a\ufffd"},
		{"a few marks stay, a tower of them does not", "e\u0301\u0302\u0303\u0304\u0305", "e\u0301\u0302\u0303\u0304" + `\u0305`},
		{"what is long is cut", strings.Repeat("x", 1500), strings.Repeat("x", 975) + "… [1500 characters in all]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Safe(tt.in)
			if tt.name == "what is long is cut" {
				if n := utf8.RuneCountInString(got); n != SafeLimit || !strings.HasSuffix(got, "… [1500 characters in all]") {
					t.Errorf("%d characters: %q", n, got)
				}
				return
			}
			if got != tt.want {
				t.Errorf("Safe(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func FuzzSafe(f *testing.F) {
	for _, h := range hostile {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Safe(s)
		if !utf8.ValidString(got) {
			t.Fatalf("Safe(%q) = %q is not UTF-8", s, got)
		}
		if n := utf8.RuneCountInString(got); n > SafeLimit {
			t.Fatalf("Safe(%q) has %d characters", s, n)
		}
		for _, r := range got {
			if !isVisible(r) {
				t.Fatalf("Safe(%q) = %q holds %U", s, got, r)
			}
		}
		if again := Safe(got); again != got {
			t.Fatalf("Safe(%q) = %q, and of that %q", s, got, again)
		}
		for _, width := range []int{1, 7, 80} {
			for _, line := range wrap(got, width) {
				// One character may be two columns wide, and has to go somewhere.
				if w := displayWidth(line); w > max(width, 2) {
					t.Fatalf("wrap(%q, %d) has a line of %d columns: %q", got, width, w, line)
				}
			}
		}
	})
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    string
		width int
		want  []string
	}{
		{"short text is one line", "a b", 10, []string{"a b"}},
		{"nothing is one empty line", "", 10, []string{""}},
		{"between words", "the recorder is stopped", 12, []string{"the recorder", "is stopped"}},
		{"a long name breaks where it reads on well", "arn:aws:iam::300000000003:role/Some", 32, []string{"arn:aws:iam::300000000003:role/", "Some"}},
		{"else anywhere", "abcdefghij", 4, []string{"abcd", "efgh", "ij"}},
		{"wide characters count twice", "日本語の名前", 6, []string{"日本語", "の名前"}},
		{"a character that is too wide is still written", "日本", 1, []string{"日", "本"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, wrap(tt.in, tt.width)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrapCommand(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		want []string
	}{
		{"a short command is one line", "orgguard plan", []string{"orgguard plan"}},
		{"a long one goes on after a backslash", "orgguard rollout --account 300000000001 --control config-recorder", []string{
			`orgguard rollout --account \`, `  300000000001 --control \`, `  config-recorder`,
		}},
		{"a quoted argument stays whole", `orgguard audit --ou "Root/Some very long name/Prod" --all`, []string{
			`orgguard audit --ou \`, `  "Root/Some very long name/Prod" \`, `  --all`,
		}},
		{"a comment goes on as a comment, and never as a command", `orgguard bootstrap   # or leave the account out: organization.exclude`, []string{
			`orgguard bootstrap`, `# or leave the account out:`, `# organization.exclude`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, wrapCommand(tt.in, 30)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNumbersAndLists(t *testing.T) {
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
	if got := enumerate([]string{"a", "b", "c"}); got != "a, b and c" {
		t.Errorf("enumerate = %q", got)
	}
	if got := count(1, "account", "accounts") + count(2, "account", "accounts"); got != "1 account2 accounts" {
		t.Errorf("count = %q", got)
	}
}

package reports

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/orgguard/orgguard/orgs/finding"
)

func TestMarkdownText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain text stays", "the recorder is stopped", "the recorder is stopped"},
		{"a bar does not end a cell", "a|b", "a&#124;b"},
		{"HTML is shown", "<b>&amp;", "&lt;b&gt;&amp;amp;"},
		{"emphasis is shown", "**a** _b_ ~c~ `d`", "\\*\\*a\\*\\* \\_b\\_ \\~c\\~ \\`d\\`"},
		{"a link is not one", "[a](http://b)", "\\[a\\](http:" + noBreak + "//b)"},
		{"an image is not one", "![a](b)", "\\!\\[a\\](b)"},
		{"a bare address is no link", "https://evil www.evil", "https:" + noBreak + "//evil www" + noBreak + ".evil"},
		{"a mention is none", "@everyone a@b", "@" + noBreak + "everyone a@" + noBreak + "b"},
		{"an issue is none", "#12", "#" + noBreak + "12"},
		{"mathematics are shown", "$x$", "\\$x\\$"},
		{"a line break is shown", "a\nb", "a\\\\nb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := md(tt.in); got != tt.want {
				t.Errorf("md(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestMarkdownCode(t *testing.T) {
	for in, want := range map[string]string{
		"":                "",
		"shop-prod":       "`shop-prod`",
		"@octocat":        "`@octocat`",
		"a`b":             "<code>a\\`b</code>",
		"a|b":             "<code>a&#124;b</code>",
		" a":              "<code> a</code>",
		"</code><script>": "`</code><script>`",
		"a\nb":            "<code>a\\\\nb</code>",
	} {
		if got := code(in); got != want {
			t.Errorf("code(%q) = %q, want %q", in, got, want)
		}
	}
}

var (
	codeSpan = regexp.MustCompile("`[^`]*`")
	escaped  = regexp.MustCompile(`\\[!-/:-@\[-` + "`" + `{-~]`)
	codeTag  = regexp.MustCompile(`</?code>`)
)

// Whatever others called their things, tables keep their columns and nothing in
// them is a link, a mention or HTML.
func TestHostileTextsStayInTheirCells(t *testing.T) {
	for _, name := range []string{"audit-hostile.markdown", "plan-hostile.markdown", "result-hostile.markdown"} {
		columns := 0
		for line := range strings.Lines(string(mustWrite(t, name, Style{}))) {
			bare := escaped.ReplaceAllString(line, "")
			bare = codeSpan.ReplaceAllString(bare, "")
			bare = codeTag.ReplaceAllString(bare, "")
			for _, bad := range []string{"<", ">", "://", "`", "![", "]("} {
				if strings.Contains(bare, bad) {
					t.Errorf("%s: %q in %q", name, bad, line)
				}
			}
			if m := regexp.MustCompile(`(@|www\.)[\w]|#\w`).FindString(strings.ReplaceAll(bare, "&#124;", "")); m != "" {
				t.Errorf("%s: %q in %q", name, m, line)
			}
			if !strings.HasPrefix(line, "|") {
				columns = 0
				continue
			}
			n := strings.Count(bare, "|")
			if columns != 0 && n != columns {
				t.Errorf("%s: %d bars after rows of %d: %q", name, n, columns, line)
			}
			columns = n
		}
	}
}

func TestMarkdownFitsIntoAComment(t *testing.T) {
	a := driftAudit()
	for i := range 3000 {
		a.Findings = append(a.Findings, finding.Finding{
			Account: fmt.Sprintf("8%011d", i), AccountName: "日本語の名前", Region: "us-east-1", Control: "guardduty",
			Status: finding.Drift, Severity: finding.Low, Reason: "the detector is off",
		})
	}
	a.Summary = finding.Summarize(a.Findings)
	var b bytes.Buffer
	if err := Write(&b, Markdown, Style{}, a); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 65_536 {
		t.Errorf("%d bytes", b.Len())
	}
	if s := b.String(); !strings.Contains(s, "3,004 findings") || !regexp.MustCompile(`[\d,]+ rows are left out`).MatchString(s) {
		t.Errorf("it does not say what is left out:\n...%s", s[len(s)-300:])
	}
}

package notice

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReasonsInJapanese(t *testing.T) {
	for reason, want := range map[string]string{
		"the recorder is stopped":                                   "レコーダーが停止しています",
		"the recorder is stopped; CloudFormation says CURRENT":      "レコーダーが停止しています; CloudFormation says CURRENT",
		"the role lacks the managed policy ReadOnly":                "ロールにマネージドポリシーがアタッチされていません: ReadOnly",
		"AccessDenied: nobody knows":                                "AccessDenied: nobody knows",
		"the recorder is stopped by somebody, which no table knows": "the recorder is stopped by somebody, which no table knows",
	} {
		if got := said("ja", reason); got != want {
			t.Errorf("%s: %s", reason, got)
		}
		if got := said("en", reason); got != reason {
			t.Errorf("in English, %s is %s", reason, got)
		}
	}
}

// A reason that an audit does not give any more has no translation to keep.
func TestTranslatedReasonsAreReasonsOfAudits(t *testing.T) {
	files, err := filepath.Glob("../../baseline/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	more, err := filepath.Glob("../../scp/protect/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range append(files, more...) {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	// These are put together of a noun and the rest.
	composed := map[string]string{
		"the topic's policy differs": "'s policy differs", "the topic has no policy": " has no policy", "the bucket's versioning is not enabled": "versioning is ",
		"the remediation is manual, not automatic": "the remediation is ",
	}
	for lang, table := range reasons {
		for reason := range table {
			want := `"` + reason
			if c := composed[reason]; c != "" {
				want = c
			}
			if !strings.Contains(all.String(), want) {
				t.Errorf("%s: no audit says %q", lang, reason)
			}
		}
	}
}

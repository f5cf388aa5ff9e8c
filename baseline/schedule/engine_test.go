package schedule

import (
	"strings"
	"testing"
)

func TestTheSizeDecides(t *testing.T) {
	for _, c := range []struct {
		asked             string
		accounts, regions int
		want, says        string
	}{
		{"auto", 13, 2, "lambda", "13 accounts × 2 Regions are 26"},
		{"", 588, 17, "lambda", "9996"},
		{"auto", 589, 17, "stepfunctions", "10013 to look at"},
		{"stepfunctions", 1, 1, "stepfunctions", "as asked for"},
		{"lambda", 10_000, 34, "lambda", "not assessed"},
	} {
		got := Choose(c.asked, c.accounts, c.regions)
		if got.Engine != c.want || !strings.Contains(got.String(), c.says) || got.Chosen == (c.asked == "" || c.asked == "auto") {
			t.Errorf("%+v: %+v: %s", c, got, got)
		}
	}
}

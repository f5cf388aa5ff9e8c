package reports

import (
	"fmt"

	"github.com/orgguard/orgguard/orgs/finding"
)

// The picture of a trend is drawn in its own units and scaled to the page.
const (
	trendWidth  = 960
	trendHeight = 160
	maxTrend    = 120 // runs in the picture, the latest
)

type (
	htmlTrend struct {
		Label         string // what a screen reader says instead of the picture
		Width, Height int
		Top           string // the greatest number of findings
		Bars          []htmlBar
		Runs          []htmlRun
	}
	// htmlBar is the drift of one severity in one run, or what was not assessed.
	htmlBar struct {
		X, Y, W, H float64
		Class      string
		Title      string
	}
	htmlRun struct {
		Run                                               int64
		At, Critical, High, Medium, Low, Blind, New, Gone string
	}
)

// htmlTrendOf draws the runs as bars of findings, the worst at the bottom: nil for
// fewer than two, which are no trend.
func htmlTrendOf(runs []Run) *htmlTrend {
	if len(runs) < 2 {
		return nil
	}
	runs = runs[max(0, len(runs)-maxTrend):]
	top := 1
	for _, r := range runs {
		top = max(top, r.Summary.Drift+r.Summary.NotAssessed)
	}
	first, last := runs[0], runs[len(runs)-1]
	t := &htmlTrend{
		Width: trendWidth, Height: trendHeight, Top: thousands(top),
		Label: fmt.Sprintf("Findings of %s: %s of drift and %s not assessed on %s; %s and %s on %s", count(len(runs), "run", "runs"),
			thousands(first.Summary.Drift), thousands(first.Summary.NotAssessed), minute(first.GeneratedAt),
			thousands(last.Summary.Drift), thousands(last.Summary.NotAssessed), minute(last.GeneratedAt)),
	}
	step := float64(trendWidth) / float64(len(runs))
	for i, r := range runs {
		y := float64(trendHeight)
		for _, part := range []struct {
			class, word string
			n           int
		}{
			{string(finding.Critical), "critical", r.Drift.Critical}, {string(finding.High), "high", r.Drift.High},
			{string(finding.Medium), "medium", r.Drift.Medium}, {string(finding.Low), "low", r.Drift.Low},
			{string(finding.NotAssessed), "not assessed", r.Summary.NotAssessed},
		} {
			if part.n == 0 {
				continue
			}
			h := float64(part.n) / float64(top) * trendHeight
			y -= h
			t.Bars = append(t.Bars, htmlBar{
				X: round(float64(i)*step + step*0.1), Y: round(y), W: round(step * 0.8), H: round(h), Class: part.class,
				Title: fmt.Sprintf("%s: %s %s", minute(r.GeneratedAt), thousands(part.n), part.word),
			})
		}
	}
	for i := len(runs) - 1; i >= 0; i-- {
		r := runs[i]
		t.Runs = append(t.Runs, htmlRun{
			r.Run, minute(r.GeneratedAt), thousands(r.Drift.Critical), thousands(r.Drift.High), thousands(r.Drift.Medium), thousands(r.Drift.Low),
			thousands(r.Summary.NotAssessed), thousands(r.Changes.New + r.Changes.Worse), thousands(r.Changes.Resolved),
		})
	}
	return t
}

// round keeps the page the same on every machine, and short.
func round(x float64) float64 { return float64(int(x*100+0.5)) / 100 }

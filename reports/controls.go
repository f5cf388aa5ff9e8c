package reports

import (
	"io"

	"github.com/orgguard/orgguard/orgs/finding"
)

// Control is an entry of the catalogue of controls.
type Control struct {
	ID       string           `json:"id"`
	Title    string           `json:"title"`
	Severity finding.Severity `json:"severity"` // of its drift
	Scope    string           `json:"scope"`    // where it holds, in words
	Default  bool             `json:"default"`  // on when the configuration is silent
}

// WriteControls draws the catalogue for people.
func WriteControls(w io.Writer, s Style, controls []Control) error {
	g := newGrid(s).with(column{title: "control", min: 12}, column{title: "severity", min: 8}, column{title: "default", min: 7},
		column{title: "holds in", min: 20}, column{title: "what must hold", min: 24})
	rows := make([]gridRow, len(controls))
	for i, c := range controls {
		on := "off"
		if c.Default {
			on = "on"
		}
		rows[i] = gridRow{cells: []string{Safe(c.ID), string(c.Severity), on, Safe(c.Scope), Safe(c.Title)}}
	}
	if err := g.draw(rows); err != nil {
		return err
	}
	return g.flush(w)
}

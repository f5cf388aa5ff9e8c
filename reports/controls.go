package reports

import (
	"fmt"
	"io"
	"strings"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs/finding"
)

// Control is an entry of the catalogue of controls.
type Control struct {
	ID       string           `json:"id"`
	Title    string           `json:"title"`
	Severity finding.Severity `json:"severity"` // of its drift
	Scope    string           `json:"scope"`    // where it lives, in words
	Default  bool             `json:"default"`  // on when the configuration is silent
}

// WriteControls draws the catalogue for people.
func WriteControls(w io.Writer, s Style, controls []Control) error {
	g := newGrid(s).with(column{title: "control", min: 20}, column{title: "severity", min: 8}, column{title: "default", min: 7},
		column{title: "lives in", min: 15}, column{title: "what must hold", min: 20})
	rows := make([]gridRow, len(controls))
	for i, c := range controls {
		rows[i] = gridRow{cells: []string{Safe(c.ID), string(c.Severity), onOff(c.Default), Safe(c.Scope), Safe(c.Title)}}
	}
	if err := g.draw(rows); err != nil {
		return err
	}
	return g.flush(w)
}

// WriteControl explains one control for people.
func WriteControl(w io.Writer, s Style, e baseline.Explained) error {
	var b strings.Builder
	say := sayer(&b, s)
	fmt.Fprintf(&b, "%s\n", e.ID)
	say("holds", e.Title)
	say("where", e.Scope)
	say("severity", string(e.Severity)+" (of its drift)")
	say("default", onOff(e.Default))
	say("why", e.Why)
	say("costs", e.Cost)
	say("needs", strings.Join(e.Needs, ", "))
	for i, setting := range e.Settings {
		label := "settings"
		if i > 0 {
			label = ""
		}
		text := setting.Key + ": " + setting.Default
		if setting.Doc != "" {
			text += " (" + setting.Doc + ")"
		}
		say(label, text)
	}
	for i, p := range e.Deploys {
		label := "deploys"
		if i > 0 {
			label = ""
		}
		where := p.Where
		if p.Stack != "" {
			where = p.Stack + ", " + where
		}
		say(label, fmt.Sprintf("%s %s (%s)", p.Type, p.Name, where))
	}
	say("off", e.Off)
	say("removal", e.Removal)
	switch {
	case strings.HasPrefix(e.Example, "scp: "): // it stands in a section of its own
		say("example", e.Example)
	case e.Example != "":
		say("example", "baseline: {"+e.Example+"}")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// sayer writes labelled lines, wrapped; nothing for an empty text.
func sayer(b *strings.Builder, s Style) func(label, text string) {
	return func(label, text string) {
		if text == "" {
			return
		}
		for i, line := range wrap(text, s.width()-11) {
			if i > 0 {
				label = ""
			}
			fmt.Fprintf(b, "  %-8s %s\n", label, line)
		}
	}
}

// WriteEffective says for people what holds of a control in one account, and why.
func WriteEffective(w io.Writer, s Style, e baseline.Effective) error {
	var b strings.Builder
	say := sayer(&b, s)
	fmt.Fprintf(&b, "%s in account %s (%s)\n", Safe(e.Control), Safe(e.Account), Safe(e.AccountName))
	say("OU", Safe(e.OUPath))
	say("is", onOff(e.Enabled))
	if e.Excluded != "" {
		say("but", "the account is excluded by the configuration: "+Safe(e.Excluded))
	}
	for i, l := range e.Layers {
		label := "because"
		if i > 0 {
			label = ""
		}
		text := l.Where + ": " + onOff(l.Enabled)
		if l.Reason != "" {
			text += " (" + l.Reason + ")"
		}
		say(label, Safe(text))
	}
	for i, setting := range e.Settings {
		label := "settings"
		if i > 0 {
			label = ""
		}
		say(label, Safe(setting.Key+": "+setting.Default))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

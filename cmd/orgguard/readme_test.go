package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/baseline"
)

var updateReadme = flag.Bool("update-readme", false, "write the permissions into README.md")

const (
	readme         = "../../README.md"
	readmeBegin    = "<!-- permissions: begin (make permissions) -->\n"
	readmeEnd      = "<!-- permissions: end -->"
	readmeTemplate = "| command | in the management account | in every account, by the access role |\n| --- | --- | --- |\n"
)

func TestTheReadmeListsThePermissions(t *testing.T) {
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	before, rest, ok := strings.Cut(text, readmeBegin)
	have, after, ok2 := strings.Cut(rest, readmeEnd)
	if !ok || !ok2 {
		t.Fatal("README.md has no place for the permissions")
	}
	want := permissionsTable()
	if *updateReadme {
		before = withPlaces(before)
		if err := os.WriteFile(readme, []byte(before+readmeBegin+want+readmeEnd+after), 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("the permissions in README.md are out of date (make permissions):\n%s", diff)
	}
}

const readmeControls = "| control | what must hold | where |\n| --- | --- | --- |\n"

func TestTheReadmeSaysWhereControlsLive(t *testing.T) {
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if diff := cmp.Diff(withPlaces(text), text); diff != "" {
		t.Errorf("README.md says of controls that they live elsewhere (make permissions):\n%s", diff)
	}
	_, table, _ := strings.Cut(text, readmeControls)
	for _, id := range controlIDs() {
		if !strings.Contains(table, "| `"+id+"`") {
			t.Errorf("README.md's table of controls has no %s", id)
		}
	}
}

// withPlaces is the README with where each control lives in its table of controls.
func withPlaces(text string) string {
	before, rest, _ := strings.Cut(text, readmeControls)
	table, after, _ := strings.Cut(rest, "\n\n")
	scopes := map[string]string{}
	for _, c := range catalogue() {
		scopes[c.ID] = c.Scope
	}
	rows := strings.Split(table, "\n")
	for i, row := range rows {
		cells := strings.Split(row, " | ")
		_, id, _ := strings.Cut(row, "`")
		id, _, _ = strings.Cut(id, "`")
		cells[len(cells)-1] = scopes[id] + " |"
		rows[i] = strings.Join(cells, " | ")
	}
	return before + readmeControls + strings.Join(rows, "\n") + "\n\n" + after
}

// permissionsTable is the table of the README: what each command needs beyond
// the one above it; of those that build on no other, all.
func permissionsTable() string {
	var b strings.Builder
	b.WriteString(readmeTemplate)
	var last grant
	chain := []string{"audit", "plan", "rollout"}
	for _, command := range chain {
		g := grants[command]
		lead := ""
		if command != "audit" {
			lead = "as above, and "
		}
		fmt.Fprintf(&b, "| `%s` | %s%s | %s%s |\n", command, lead, actions(g.caller, last.caller), lead, actions(g.member, last.member))
		last = g
	}
	for _, command := range sortedKeys(grants) {
		if !slices.Contains(chain, command) {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", command, actions(grants[command].caller, nil), actions(grants[command].member, nil))
		}
	}
	b.WriteString("\nThe caller also needs `sts:AssumeRole` on the access role.\n")
	b.WriteString("\nControls that are off by default need more when they are on, in the management account and in every other:\n\n" +
		"| control | `audit`, `plan` | `rollout`, besides | `undo` and `teardown`, besides |\n| --- | --- | --- | --- |\n")
	for _, c := range baseline.Controls() {
		undo := c.Undoes
		if undo == nil {
			undo = c.Writes
		}
		if len(c.Reads)+len(c.Writes) > 0 {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c.ID, actions(c.Reads, nil), actions(c.Writes, nil), actions(undo, nil))
		}
	}
	return b.String()
}

// actions lists what is new, service by service.
func actions(list, known []string) string {
	seen := map[string]bool{}
	for _, a := range known {
		seen[a] = true
	}
	var out []string
	for _, a := range list {
		if !seen[a] {
			out = append(out, "`"+a+"`")
		}
	}
	return strings.Join(out, " ")
}

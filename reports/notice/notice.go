package notice

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/reports"
)

// Notice is what happened since somebody was told something.
type Notice struct {
	Organization string
	// GeneratedAt is the time of the newest run, Run its number in the history.
	GeneratedAt time.Time
	Run         int64
	// Since is the time of the run before the oldest one that is summed up; Runs is
	// how many are.
	Since time.Time
	Runs  int
	// Skipped is how many older runs are not in it, because there were too many.
	Skipped int
	// Narrowed says that the newest run looked at a part of the organization only, and
	// Interrupted that it was stopped before its end.
	Narrowed, Interrupted bool
	Accounts              int
	Drift, NotAssessed    int // of the newest run
	// Changes are in the order of finding.Compare.
	Changes []Change
	// Report is where the newest run can be read: an address, or what to type.
	Report string
	// Unreached are channels that could not be told something before.
	Unreached []string
	// Test says that this is no news but a message that somebody wants to see arrive.
	Test bool
}

// Change is a finding that is new, got worse, was accepted or is resolved.
type Change struct {
	ID      string
	Change  finding.Change
	Finding finding.Finding
}

// Of sums up runs of one organization as a history keeps them, the oldest first. A run
// without a run before has no news.
func Of(runs ...reports.Audit) Notice {
	var s Sum
	for _, a := range runs {
		s.Add(a)
	}
	return s.Notice()
}

// Sum is runs that are summed up one by one, so that not all of them have to be at hand
// at once.
type Sum struct {
	n  Notice
	at map[string]int
}

// Add adds the run after those that were added.
func (s *Sum) Add(a reports.Audit) {
	n := &s.n
	n.Organization, n.GeneratedAt, n.Run = a.Organization.ID, a.GeneratedAt, a.Run
	n.Narrowed, n.Interrupted, n.Accounts = a.Scope.Narrowed, a.Interrupted, a.Organization.Accounts
	n.Drift, n.NotAssessed = a.Summary.Drift, a.Summary.NotAssessed
	if a.Since == nil {
		return
	}
	if n.Runs++; n.Runs == 1 {
		n.Since, s.at = a.Since.GeneratedAt, map[string]int{}
	}
	// A finding that is gone has the number of the last of its kind: the order in which
	// they had their names.
	all := slices.Concat(a.Findings, a.Since.Gone)
	for i, id := range reports.Identify(all) {
		f := all[i]
		if !tells(f.Change) {
			continue
		}
		j, known := s.at[id]
		if !known {
			s.at[id] = len(n.Changes)
			n.Changes = append(n.Changes, Change{id, f.Change, f})
			continue
		}
		n.Changes[j] = Change{id, after(n.Changes[j].Change, f.Change), f}
	}
}

// Notice is what the runs come to.
func (s *Sum) Notice() Notice {
	n := s.n
	n.Changes = slices.DeleteFunc(slices.Clone(n.Changes), func(c Change) bool { return c.Change == "" })
	slices.SortStableFunc(n.Changes, func(a, b Change) int {
		return cmp.Or(finding.Compare(a.Finding, b.Finding), cmp.Compare(a.ID, b.ID))
	})
	return n
}

func tells(c finding.Change) bool {
	return c == finding.New || c == finding.Worse || c == finding.Resolved || c == finding.Accepted
}

// after is one change after another: the later one counts, but what is new stays so
// when it gets worse, and is no news when it is accepted before anybody heard of it.
func after(before, now finding.Change) finding.Change {
	switch {
	case before == finding.New && now == finding.Worse:
		return finding.New
	case before == finding.New && now == finding.Accepted:
		return ""
	}
	return now
}

// Counts are changes in numbers, and what is open now.
type Counts struct {
	New      int `json:"new"`
	Worse    int `json:"worse"`
	Resolved int `json:"resolved"`
	Accepted int `json:"accepted"`
}

// Counts counts the changes.
func (n Notice) Counts() Counts {
	var c Counts
	for _, x := range n.Changes {
		switch x.Change {
		case finding.New:
			c.New++
		case finding.Worse:
			c.Worse++
		case finding.Resolved:
			c.Resolved++
		default:
			c.Accepted++
		}
	}
	return c
}

// News says whether there is anything to tell. What was accepted is none: whoever
// accepted it knows.
func (n Notice) News() bool {
	c := n.Counts()
	return n.Test || c.New+c.Worse+c.Resolved > 0
}

// ID names the news for a channel: it is the same when the same is sent again, by
// another run as well.
func (n Notice) ID(channel string) string {
	parts := []string{n.Organization, channel, n.Since.UTC().Format(time.RFC3339)}
	if n.Test {
		parts = append(parts, n.GeneratedAt.UTC().Format(time.RFC3339Nano))
	}
	for _, c := range n.Changes {
		parts = append(parts, c.ID, string(c.Change))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", parts))
	return "orgguard-" + hex.EncodeToString(sum[:8])
}

// findings are those that changed in a way.
func (n Notice) findings(c finding.Change) []finding.Finding {
	var out []finding.Finding
	for _, x := range n.Changes {
		if x.Change == c {
			out = append(out, x.Finding)
		}
	}
	return out
}

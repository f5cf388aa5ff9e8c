package reports

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/orgguard/orgguard/orgs/finding"
)

// Identify gives every finding a name that stays the same from one audit to the
// next, so that links, SARIF fingerprints and the ids of Security Hub go on meaning
// the same thing. It is made of what was looked at and not of what was seen: a
// finding that is repaired keeps its name, and so resolves the one before.
//
// It is 64 bits of a hash of account, Region, control and resource: a link, a
// fingerprint in SARIF, an id in Security Hub, a finding in a history. Of several
// findings about one thing, the first in finding.Sort's order has the name, and the
// others have it with a number. The findings must be in that order.
func Identify(fs []finding.Finding) []string {
	seen := make(map[string]int, len(fs))
	out := make([]string, len(fs))
	for i, f := range fs {
		id := identity(f.Account, f.Region, f.Control, f.Resource)
		seen[id]++
		if n := seen[id]; n > 1 {
			id = fmt.Sprintf("%s-%d", id, n)
		}
		out[i] = id
	}
	return out
}

// identity is 64 bits of a hash. Every part is quoted: none can be taken for two.
func identity(parts ...string) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%q", parts))
	return hex.EncodeToString(h[:8])
}

// titles are the titles of the controls, as far as the audit knows them.
func titles(a Audit) map[string]string {
	out := make(map[string]string, len(a.Controls))
	for _, c := range a.Controls {
		out[c.ID] = c.Title
	}
	return out
}

// remarks are what stands beside the counts of an audit: where CloudFormation and the
// accounts disagree, whose exemptions have ended, what happened since the run before.
func remarks(a Audit) []string {
	var out []string
	if n := a.Summary.Disagreements; n > 0 {
		out = append(out, "Cross-check: CloudFormation says otherwise than the account itself in "+count(n, "finding", "findings"))
	}
	if n := a.Summary.Expired; n > 0 {
		line := "Expired exemptions: " + count(n, "finding", "findings")
		if owners := expiredOwners(a.Findings); len(owners) > 0 {
			line += "; until then accepted by " + enumerate(owners)
		} else {
			line += "; none names an owner"
		}
		out = append(out, line)
	}
	if s := a.Since; s != nil {
		out = append(out, fmt.Sprintf("Since the run of %s: %s", minute(s.GeneratedAt), tallyWords(s.Changes)))
	}
	return append(out, a.Notes...)
}

func expiredOwners(fs []finding.Finding) []string {
	var out []string
	for _, f := range fs {
		if f.Expired() && f.Exemption.Owner != "" {
			out = append(out, f.Exemption.Owner)
		}
	}
	return unique(out)
}

// sinceWords names the changes where people read them.
var sinceWords = map[finding.Change]string{
	finding.New: "new", finding.Worse: "worse", finding.Resolved: "resolved", finding.Accepted: "accepted",
	finding.Open: "still open", finding.Unseen: "not looked at again",
}

// tallyWords counts changes, without those that did not happen.
func tallyWords(t Tally) string {
	var parts []string
	for _, c := range finding.Changes {
		if n := t.Of(c); n > 0 {
			parts = append(parts, thousands(n)+" "+sinceWords[c])
		}
	}
	if len(parts) == 0 {
		return "nothing is open, and nothing was"
	}
	return strings.Join(parts, ", ")
}

// sentence is a finding in one line: the resource, unless the reason names it, and
// the reason.
func sentence(f finding.Finding) string {
	told := f.Told()
	switch {
	case told == "" && f.Resource == "":
		return f.Control + ": " + statusWords[statusOf(f)]
	case told == "":
		return f.Resource + ": " + statusWords[statusOf(f)]
	case f.Resource == "" || strings.Contains(told, f.Resource):
		return told
	}
	return f.Resource + ": " + told
}

// statusOf is the status of a finding as finding.Summary counts it: one that nobody
// knows is not a clean one.
func statusOf(f finding.Finding) finding.Status {
	if _, ok := statusWords[f.Status]; !ok {
		return finding.NotAssessed
	}
	return f.Status
}

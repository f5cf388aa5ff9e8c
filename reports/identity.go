package reports

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/orgguard/orgguard/orgs/finding"
)

// identities gives every finding a name that stays the same from one audit to the
// next, so that links, SARIF fingerprints and the ids of Security Hub go on meaning
// the same thing. It is made of what was looked at and not of what was seen: a
// finding that is repaired keeps its name, and so resolves the one before.
//
// Of several findings about one thing, the first in finding.Sort's order has the
// name, and the others have it with a number.
func identities(fs []finding.Finding) []string {
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

// sentence is a finding in one line: the resource, unless the reason names it, and
// the reason.
func sentence(f finding.Finding) string {
	switch {
	case f.Reason == "" && f.Resource == "":
		return f.Control + ": " + statusWords[statusOf(f)]
	case f.Reason == "":
		return f.Resource + ": " + statusWords[statusOf(f)]
	case f.Resource == "" || strings.Contains(f.Reason, f.Resource):
		return f.Reason
	}
	return f.Resource + ": " + f.Reason
}

// statusOf is the status of a finding as finding.Summary counts it: one that nobody
// knows is not a clean one.
func statusOf(f finding.Finding) finding.Status {
	if _, ok := statusWords[f.Status]; !ok {
		return finding.NotAssessed
	}
	return f.Status
}

package reports

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
)

// Part is a part of an audit that was cut into shards, and the file it comes from.
type Part struct {
	Name  string
	Audit Audit
}

// Merge puts the parts of one audit together. Written as JSON, the result is the very
// bytes of one audit of everything at the same time: the latest of the parts'.
//
// It refuses parts that do not belong together: of another organization, orgguard,
// configuration, scope or number of parts, the same part twice, a part that is missing,
// parts that saw other accounts. With allowMissing, accounts that no part looked at are
// not assessed, for each control; the controls' severities come from the catalogue.
func Merge(parts []Part, allowMissing bool, controls []Control) (Audit, error) {
	if len(parts) == 0 {
		return Audit{}, errors.New("there is nothing to merge")
	}
	if err := checkParts(parts); err != nil {
		return Audit{}, err
	}
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b Part) int { return a.Audit.Shard.Index - b.Audit.Shard.Index })
	unseen, err := unseenAccounts(parts, allowMissing)
	if err != nil {
		return Audit{}, err
	}
	out := parts[0].Audit
	out.Shard, out.Findings, out.Notes, out.Summary, out.Organization.Accounts = nil, []finding.Finding{}, nil, finding.Summary{}, 0
	for _, p := range parts {
		a := p.Audit
		if a.GeneratedAt.After(out.GeneratedAt) {
			out.GeneratedAt = a.GeneratedAt
		}
		out.Interrupted = out.Interrupted || a.Interrupted
		out.Organization.Accounts += a.Organization.Accounts
		out.Summary = out.Summary.Plus(a.Summary)
		out.Findings = append(out.Findings, a.Findings...)
		for _, n := range a.Notes {
			if !slices.Contains(out.Notes, n) {
				out.Notes = append(out.Notes, n)
			}
		}
	}
	blind := blindFindings(unseen, out.Scope.Controls, parts[0].Audit.Shard.Of, controls)
	out.Organization.Accounts += len(unseen)
	out.Summary = out.Summary.Plus(finding.Summarize(blind))
	out.Findings = append(out.Findings, blind...)
	finding.Sort(out.Findings)
	return out, nil
}

// checkParts reports every part that does not belong to the first.
func checkParts(parts []Part) error {
	var problems []error
	first := parts[0]
	seen := map[int]string{}
	for _, p := range parts {
		name, a := Safe(p.Name), p.Audit
		if a.Shard == nil {
			problems = append(problems, fmt.Errorf("%s is a whole audit, not a part of one", name))
			continue
		}
		if before, ok := seen[a.Shard.Index]; ok {
			problems = append(problems, fmt.Errorf("%s and %s are both part %d", before, name, a.Shard.Index))
		}
		seen[a.Shard.Index] = name
		if first.Audit.Shard == nil {
			continue
		}
		for _, same := range []struct {
			what        string
			first, this any
		}{
			{"organization", first.Audit.Organization.ID, a.Organization.ID},
			{"management account", first.Audit.Organization.ManagementAccount, a.Organization.ManagementAccount},
			{"list of Regions", first.Audit.Organization.Regions, a.Organization.Regions},
			{"version of orgguard", first.Audit.ToolVersion, a.ToolVersion},
			{"configuration", first.Audit.ConfigDigest, a.ConfigDigest},
			{"scope", first.Audit.Scope, a.Scope},
			{"number of parts", first.Audit.Shard.Of, a.Shard.Of},
		} {
			if !reflect.DeepEqual(same.first, same.this) {
				problems = append(problems, fmt.Errorf("%s has another %s than %s: %s, not %s", name, same.what, Safe(first.Name), shown(same.this), shown(same.first)))
			}
		}
	}
	return errors.Join(problems...)
}

func shown(v any) string {
	s, err := compactJSON(v)
	if err != nil {
		return "?"
	}
	return Safe(s)
}

// unseenAccounts are the accounts that no part looked at.
func unseenAccounts(parts []Part, allowMissing bool) ([]ShardAccount, error) {
	of := parts[0].Audit.Shard.Of
	var missing []string
	for i := 1; i <= of; i++ {
		if !slices.ContainsFunc(parts, func(p Part) bool { return p.Audit.Shard.Index == i }) {
			missing = append(missing, fmt.Sprint(i))
		}
	}
	if len(missing) > 0 && !allowMissing {
		return nil, &orgs.Hinted{
			Err:  fmt.Errorf("of %d parts, %s missing: %s", of, map[bool]string{true: "one is", false: fmt.Sprint(len(missing)) + " are"}[len(missing) == 1], enumerate(missing)),
			Next: fmt.Sprintf("run orgguard audit --shard %s/%d again, or report its accounts as not assessed: --allow-missing", missing[0], of),
		}
	}
	known, looked := map[string]ShardAccount{}, map[string]string{}
	for _, p := range parts {
		if !allowMissing && !slices.Equal(p.Audit.Shard.Accounts, parts[0].Audit.Shard.Accounts) {
			return nil, &orgs.Hinted{
				Err:  fmt.Errorf("%s saw other accounts than %s: the organization changed between them", Safe(p.Name), Safe(parts[0].Name)),
				Next: "run the parts again, or report accounts that none looked at as not assessed: --allow-missing",
			}
		}
		for _, a := range p.Audit.Shard.Accounts {
			known[a.ID] = a
			if a.Shard != p.Audit.Shard.Index {
				continue
			}
			if other, twice := looked[a.ID]; twice {
				return nil, fmt.Errorf("%s and %s both looked at account %s, because the organization changed between them: run the parts again", Safe(other), Safe(p.Name), Safe(a.ID))
			}
			looked[a.ID] = p.Name
		}
		for _, f := range p.Audit.Findings {
			if looked[f.Account] != p.Name {
				return nil, fmt.Errorf("%s has a finding of account %s, which is not among its accounts", Safe(p.Name), Safe(f.Account))
			}
		}
	}
	var out []ShardAccount
	for _, id := range sortedKeys(known) {
		if _, ok := looked[id]; !ok {
			out = append(out, known[id])
		}
	}
	return out, nil
}

// blindFindings say for each control that nobody looked at an account.
func blindFindings(accounts []ShardAccount, scope []string, of int, controls []Control) []finding.Finding {
	var out []finding.Finding
	for _, a := range accounts {
		for _, id := range scope {
			severity := finding.High
			if i := slices.IndexFunc(controls, func(c Control) bool { return c.ID == id }); i >= 0 {
				severity = controls[i].Severity
			}
			part := fmt.Sprintf("%d/%d", a.Shard, of)
			out = append(out, finding.Finding{
				Account: a.ID, AccountName: a.Name, OUPath: a.OUPath, Region: finding.Global, Control: id, Severity: severity,
				Status: finding.NotAssessed, Reason: "part " + part + " of the audit is missing",
				Fix: "orgguard audit --shard " + part + " --output FILE.json, then merge again",
			})
		}
	}
	return out
}

package proposal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/survey"
)

// writer writes YAML with comments. Names that others chose stand in comments and
// in double-quoted strings only, both without line breaks.
type writer struct{ bytes.Buffer }

// line writes a line.
func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// comment writes a comment, indented, wrapped at words.
func (w *writer) comment(indent int, format string, args ...any) {
	prefix := strings.Repeat(" ", indent) + "#"
	line := prefix
	for word := range strings.FieldsSeq(plain(fmt.Sprintf(format, args...))) {
		if len(line)+1+len(word) > 100 && line != prefix {
			w.line("%s", line)
			line = prefix
		}
		line += " " + word
	}
	w.line("%s", line)
}

// plain keeps a text on one line, and shows what cannot be seen.
func plain(s string) string {
	q := fmt.Sprintf("%+q", s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// str is a string as YAML, which reads JSON's.
func str(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // a string is always JSON
	}
	return string(b)
}

func strs(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = str(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// most is how many things of a kind a comment names.
const most = 20

// YAML is the proposal as a configuration.
func (p Proposal) YAML() []byte {
	w := &writer{}
	w.line("# yaml-language-server: $schema=https://raw.githubusercontent.com/orgguard/orgguard/main/orgs/spec/orgguard.schema.json")
	w.line("#")
	w.comment(0, "The security baseline of organization %s, as proposed by `orgguard init`. Read it, change what does not fit, then: orgguard doctor, orgguard plan, orgguard rollout.", p.Organization)
	w.line("")
	w.line("version: 1")
	w.line("")
	p.organization(w)
	p.places(w)
	p.alerts(w)
	p.baseline(w)
	p.rollout(w)
	p.notices(w)
	return w.Bytes()
}

func (p Proposal) organization(w *writer) {
	w.line("organization:")
	w.comment(2, "The role that orgguard assumes in every account. `orgguard bootstrap` makes one with no more rights than it needs.")
	w.line("  access_role: %s", str(p.AccessRole))
	if p.ExternalID != "" {
		w.line("  external_id: %s", str(p.ExternalID))
	}
	w.comment(2, "Accounts that are not ACTIVE need no entry: they are left alone, and reports say so.")
	w.line("  exclude: []")
	for i, a := range p.Unreachable {
		if i == most {
			w.comment(2, "and %d more accounts that could not be entered: orgguard doctor lists them", len(p.Unreachable)-most)
			break
		}
		w.comment(2, "%s %q could not be entered: %s. `orgguard bootstrap` makes a role there; to leave it out instead:", a.ID, a.Name, a.Why)
		w.line("  # exclude: [{account: %s, reason: \"…\"}]", str(string(a.ID)))
	}
	w.line("")
}

func (p Proposal) places(w *writer) {
	w.comment(0, "Chosen: %s. `regions: all-enabled` covers, in every account, all that are on there: nobody watches a Region that is on and not covered.", p.Regions.Why)
	w.line("regions: %s", strs(p.Regions.Value))
	w.line("")
	w.comment(0, "Where the things are that exist once. Chosen: %s.", p.Home.Why)
	w.line("home_region: %s", str(p.Home.Value))
	w.line("")
	if p.Security.Value == "" {
		w.comment(0, "Owns the log bucket and the central alerts. Left to the management account, because %s; an account of its own is better.", p.Security.Why)
		w.line("# security_account: \"111111111111\"")
	} else {
		w.comment(0, "Owns the log bucket and the central alerts. Guessed: %s.", p.Security.Why)
		w.line("security_account: %s", str(string(p.Security.Value)))
	}
	w.line("")
}

func (p Proposal) alerts(w *writer) {
	w.line("alerts:")
	w.line("  mode: central")
	if len(p.Email) == 0 {
		w.comment(2, "Nobody is told anything until an address stands here.")
	}
	w.line("  email: %s", strs(p.Email))
	switch {
	case p.TrailsErr != nil:
		w.comment(2, "Alerts on API calls need a trail that logs them; whether there is one could not be seen.")
	case len(p.Trails) == 0:
		w.comment(2, "Alerts on API calls need a trail that logs them. No trail of the whole organization was found.")
	}
	for _, t := range p.Trails {
		w.comment(2, "Alerts on API calls come by way of a trail: %q of %s logs for the whole organization.", t.Name, t.Home)
	}
	w.line("")
}

// notices are proposed where somebody hears alerts already. They stay a comment: their
// topic does not exist yet, and the one of the alerts takes nothing but alerts.
func (p Proposal) notices(w *writer) {
	w.line("")
	w.comment(0, "`orgguard schedule install` makes the audit run by itself, as often as this says.")
	w.line("schedule: {every: 6h}")
	if len(p.Email) == 0 {
		return
	}
	account := p.Security.Value
	if account == "" {
		account = p.Management
	}
	w.line("")
	w.comment(0, "Who is told what changed from one audit to the next. Make a topic in the account that audits, and subscribe %s to it: `aws sns create-topic --name security-notices --region %s`. `orgguard notices test` tries it.", strings.Join(p.Email, ", "), p.Home.Value)
	w.line("# notices:")
	w.line("#   mail_topic: %s", str("arn:"+orgs.PartitionOf(p.Home.Value).ID+":sns:"+p.Home.Value+":"+string(account)+":security-notices"))
}

func (p Proposal) baseline(w *writer) {
	w.line("baseline:")
	if z := p.Zone; z != nil {
		w.comment(2, "AWS Control Tower (landing zone %s) has its own recorder in %d accounts: there it is audited and never touched.", z.Version, len(p.Tower))
	} else if len(p.Tower) > 0 {
		w.comment(2, "%d accounts have AWS Control Tower's recorder: there it is audited and never touched.", len(p.Tower))
	}
	if len(p.Foreign) == 0 {
		w.comment(2, "No recorder of anybody else was found.")
	}
	for i, r := range p.Foreign {
		if i == most {
			w.comment(2, "and %d more: orgguard doctor lists them", len(p.Foreign)-most)
			break
		}
		w.comment(2, "%s %q has recorder %q in %s.", r.Account.ID, r.Account.Name, r.Name, strings.Join(r.Regions, ", "))
	}
	w.comment(2, "adopt brings recorders of others in line; keep leaves them alone and audits them; replace deletes them and makes orgguard's.")
	w.line("  config-recorder: {existing: adopt}")
	w.line("")
	w.line("scp:")
	w.comment(2, "Keeps AWS Config from being silenced. Look before: orgguard scp preview --builtin scp-protect-config --target root")
	if n := len(p.Guardrails); n > 0 {
		w.comment(2, "%d policies of AWS Control Tower's (%s) stay where they are. Each takes one of the places that a root, OU or account has for policies; orgguard doctor counts them.", n, strings.Join(p.Guardrails, ", "))
	}
	w.line("  protect-config: {attach: [root]}")
	w.line("")
}

func (p Proposal) rollout(w *writer) {
	w.line("rollout:")
	if len(p.Waves.Value) == 0 {
		w.comment(2, "All at once, because %s. With a canary first: waves: [[Canary], [root]]", p.Waves.Why)
		w.line("  failure_tolerance: 5%%")
		return
	}
	w.comment(2, "%s.", p.Waves.Why)
	w.line("  waves:")
	for _, ou := range p.Waves.Value {
		w.line("    - %s", strs([]string{ou}))
	}
	w.line("  failure_tolerance: 5%%")
}

// Summary are the choices in short, for whoever is asked.
func (p Proposal) Summary(s *survey.Survey) []string {
	out := []string{
		fmt.Sprintf("regions: %s (%s); %d are on in every account", strings.Join(p.Regions.Value, ", "), p.Regions.Why, len(enabledEverywhere(s))),
		fmt.Sprintf("home_region: %s (%s)", p.Home.Value, p.Home.Why),
	}
	if p.Security.Value != "" {
		out = append(out, fmt.Sprintf("security_account: %s (%s)", p.Security.Value, p.Security.Why))
	} else {
		out = append(out, "security_account: the management account ("+p.Security.Why+")")
	}
	if len(p.Waves.Value) > 0 {
		out = append(out, "waves: "+p.Waves.Why)
	}
	if z := p.Zone; z != nil {
		out = append(out, fmt.Sprintf("AWS Control Tower: landing zone %s in %s, %d enrolled OUs", z.Version, z.Home, len(z.Enrolled)))
	}
	return append(out, fmt.Sprintf("%d recorders of others, %d accounts that could not be entered", len(p.Foreign), len(p.Unreachable)))
}

package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/orgguard/orgguard/orgs/finding"
)

// maxSaved bounds a saved audit in bytes: several times what the largest organization
// gives.
const maxSaved = 1 << 30

// ReadAudit reads an audit that was written as JSON. Members that it does not know are
// left out: a newer orgguard may have written them. Texts are as they came and hostile
// as ever; every format defuses them.
func ReadAudit(r io.Reader) (Audit, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSaved+1))
	if err != nil {
		return Audit{}, err
	}
	if len(b) > maxSaved {
		return Audit{}, fmt.Errorf("the file has more than %d bytes, which no audit has", maxSaved)
	}
	var saved struct {
		Audit
		Since *struct {
			Since
			Gone []savedFinding `json:"gone"`
		} `json:"since"`
		Findings []savedFinding `json:"findings"`
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&saved); err != nil {
		return Audit{}, fmt.Errorf("not an audit in JSON: %w", err)
	}
	if dec.More() {
		return Audit{}, fmt.Errorf("not an audit in JSON: something follows it")
	}
	a := saved.Audit
	if a.Schema != AuditSchema {
		return Audit{}, fmt.Errorf("not an audit in JSON: its schema is %q, want %q", a.Schema, AuditSchema)
	}
	a.Findings = plain(saved.Findings)
	if saved.Since != nil {
		a.Since = &saved.Since.Since
		a.Since.Gone = plain(saved.Since.Gone)
	}
	return a, checkSaved(a)
}

// checkSaved refuses what no audit has: counts that lie would be rendered as a clean
// organization.
func checkSaved(a Audit) error {
	listed := finding.Summarize(a.Findings)
	for _, s := range finding.Statuses {
		if a.Summary.Of(s) < listed.Of(s) {
			return fmt.Errorf("the audit counts %d findings %s and lists %d: it has been changed", a.Summary.Of(s), statusWords[s], listed.Of(s))
		}
		// These are always listed; the others only where they were asked for.
		if (s == finding.Drift || s == finding.NotAssessed || s == finding.Exempt) && a.Summary.Of(s) != listed.Of(s) {
			return fmt.Errorf("the audit counts %d findings %s and lists %d: it has been changed", a.Summary.Of(s), statusWords[s], listed.Of(s))
		}
	}
	for _, f := range a.Findings {
		if f.Account != "" && !accountNumber.MatchString(f.Account) {
			return fmt.Errorf("the audit has a finding of account %q: want twelve digits", f.Account)
		}
		if f.Change != "" && !slices.Contains(finding.Changes, f.Change) {
			return fmt.Errorf("the audit has a finding whose change is %q", f.Change)
		}
	}
	if s := a.Shard; s != nil && (s.Of < 1 || s.Index < 1 || s.Index > s.Of) {
		return fmt.Errorf("the audit is part %d of %d", s.Index, s.Of)
	}
	return nil
}

// savedFinding keeps what was expected and found as it is in the file, to the byte.
type savedFinding finding.Finding

// UnmarshalJSON implements json.Unmarshaler.
func (s *savedFinding) UnmarshalJSON(b []byte) error {
	var f struct {
		finding.Finding
		Expected json.RawMessage `json:"expected"`
		Actual   json.RawMessage `json:"actual"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*s = savedFinding(f.Finding)
	// null is what a finding without one has too.
	if len(f.Expected) > 0 && string(f.Expected) != "null" {
		s.Expected = f.Expected
	}
	if len(f.Actual) > 0 && string(f.Actual) != "null" {
		s.Actual = f.Actual
	}
	return nil
}

func plain(saved []savedFinding) []finding.Finding {
	out := make([]finding.Finding, len(saved))
	for i, s := range saved {
		out[i] = finding.Finding(s)
	}
	return out
}

// ReadFinding reads one finding as ReadAudit does.
func ReadFinding(b []byte) (finding.Finding, error) {
	var s savedFinding
	err := json.Unmarshal(b, &s)
	return finding.Finding(s), err
}

// EncodeFinding writes one finding for ReadFinding.
func EncodeFinding(f finding.Finding) ([]byte, error) {
	text, err := compactJSON(f)
	return []byte(text), err
}

package scp

// Limit is a quota of AWS, with where it was read and when, because quotas
// change: in May 2026 both below were doubled.
type Limit struct {
	Value  int    `json:"value"`
	Source string `json:"source"`
	Date   string `json:"date"`
}

// Limits are the quotas that concern service control policies. They are data
// to report against and to override; only AWS decides.
type Limits struct {
	PolicyCharacters Limit `json:"policyCharacters"`
	PoliciesPerNode  Limit `json:"policiesPerNode"`
}

// DefaultLimits returns the quotas as known.
func DefaultLimits() Limits {
	const source = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"
	return Limits{
		PolicyCharacters: Limit{Value: 10240, Source: source, Date: "2026-05-15"},
		PoliciesPerNode:  Limit{Value: 10, Source: source, Date: "2026-05-15"},
	}
}

// orDefault fills the limits that are not given.
func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.PolicyCharacters.Value <= 0 {
		l.PolicyCharacters = d.PolicyCharacters
	}
	if l.PoliciesPerNode.Value <= 0 {
		l.PoliciesPerNode = d.PoliciesPerNode
	}
	return l
}

// Package orgs is the organization as orgguard sees it: accounts, organizational
// units, Regions, who is selected and who is left out and why, and the fan-out
// over them.
//
// It reads the organization once and cheaply (Load), because the Organizations
// API is slow and shared by everybody who uses the organization: a listing is
// read at AWS's page size of 20, and nothing is asked per account that a listing
// gives. See https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html.
//
// It imports no other package of orgguard: everything else stands on it. Below it
// are orgs/access (credentials and clients), orgs/finding and orgs/plan (the data
// that baseline, scp and reports share), orgs/eventpattern (EventBridge patterns)
// and orgs/sim (the simulated organization, imported by cmd and tests alone).
package orgs

// Package orgpolicy reads and writes policies of AWS Organizations, of any type:
// service control policies for the packages under scp, and those that manage a
// service, such as Security Hub policies, for baseline.
//
// It makes the calls and knows their errors; what a policy of a type says and where
// it belongs is for its callers. Every write can be made again: what is there already
// is told apart from what the call did, for only the latter is the caller's to take
// back.
//
// It imports orgs and orgs/access, and nothing that is above them.
package orgpolicy

// Package protect is the service control policy that keeps the baseline from
// being switched off: what it says, where it should be attached, whether it is
// there and effective on every account, and what a rollout does about it.
//
// The policy is made of the configuration (policy.go), compared with what AWS
// Organizations holds (state.go, pure in findings.go), put in place (tasks.go) and
// taken away again (undo.go, teardown.go) by the waves of package apply. Whether it
// is effective is decided by the evaluator of package scp, on the policies that are
// really attached on the account's path.
//
// It imports the packages scp, apply, preview and orgs, and knows nothing of baseline
// or reports.
package protect

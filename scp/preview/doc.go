// Package preview says what a change of service control policies would do,
// before anybody makes it: which accounts it reaches, who loses and who gains
// what, who of them used it lately, and whether it locks out those who would
// have to repair it.
//
//	model.go      what goes in (Input) and what comes out (Preview): plain data
//	change.go     the tree with the policies before and after; accounts in groups
//	probe.go      the requests that are tried: principals, actions, resources
//	event.go      a CloudTrail record as a request
//	inventory.go  an account's IAM: roles, users, what their policies permit
//	effects.go    what changes for whom: used, permitted, depends
//	guard.go      the roles that must keep what they need
//	review.go     redundancy, gaps, the audit of exemptions
//	checks.go     quotas, lint, levels without an Allow
//	engine.go     New puts it together and gives the verdict
//	read_*.go     the readers: Organizations, CloudTrail, IAM
//	verify.go     the same questions to AWS's own simulator and validator
//
// The engine is pure: New takes data and gives a value, calls nothing and reads
// no clock. Everything that asks AWS is in read_*.go and verify.go, and none of
// it writes. What decides is package scp's evaluator, on the policies really
// attached on every level of the path, before and after.
//
// Three decisions shape it.
//
// Only differences are shown. A request that is denied before and after is not
// an effect of the change, and one that was allowed by nobody's IAM policies is
// none either.
//
// What is not known stays unknown. CloudTrail and IAM do not tell every
// condition key, nor every resource; a request whose answer turns on one of
// them is reported as depending on it, with the condition, and never counted as
// broken or as untouched.
//
// What was not looked at is said. Every source of evidence carries how much of
// it could be read; nothing here ever calls a change safe.
//
// Accounts whose paths carry the same policies share one evaluator, and roles
// that are alike in many accounts are evaluated once, which is what makes ten
// thousand accounts a matter of seconds.
package preview

// Package apply puts a service control policy where it is to be, wave by wave, and
// takes it back by itself when a wave does not stand up to a look.
//
// What there is to do is worked out by pure functions (waves.go) as data: waves of
// changes, each with what there is before and after (change.go). A Runner (run.go)
// makes tasks of them, which make one write at a time (write.go), look at the
// whole wave after its last write (verify.go), and roll the wave back when it is not as it
// should be. Every write is in the journal before and after it is made; going on
// after a crash and undoing a run are made from there (undo.go). A run is only
// interrupted, and not rolled back, when its context ends: whoever pressed Ctrl-C
// decides whether to go on or to undo.
//
// How a target above a canary is reached in waves: the policy is attached to the
// canary OU itself first. When all waves are through it is attached to the target,
// and the attachments in between, which say the same again, are detached in a last
// wave. A policy of Deny statements binds the same whether it is attached once or
// twice on a path, so that nobody gains anything on the way. Only attachments that
// this run made are taken off again.
//
// Detaching has no such path: a policy on the root cannot be taken off one OU. Each
// target is detached in the first wave that covers it.
//
// An edit reaches all targets of a policy at once, for AWS has one text for each
// policy; it is a wave of its own, and the first.
//
// The package is used by scp apply, scp remove and, for the policy of the baseline,
// by rollout, undo and teardown (scp/protect). It imports preview, for the
// judgement, and nothing of baseline or reports.
package apply

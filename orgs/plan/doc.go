// Package plan is what a rollout would do and did: plain data that baseline and
// scp produce and carry out, and reports render. A Change is never a closure or a
// sentence, so that it can be saved, reviewed, counted and checked again right
// before it is applied. The package imports nothing of orgguard and calls nothing.
package plan

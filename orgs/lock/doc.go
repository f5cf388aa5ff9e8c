// Package lock keeps two rollouts from writing to one organization at the same
// time, wherever they run: the journal's own lock is one of a directory, this one
// is in AWS.
//
// The lock is a parameter of AWS Systems Manager in the management account's home
// Region. PutParameter without Overwrite either makes it or says that it is there:
// of two that try at once, one gets it. Its value says who holds it, since when and
// under which id. It never ends by itself: a rollout may take hours, and nobody
// can tell a long one from a dead one but people, who break the lock by its id.
//
// The package knows SSM and nothing else of orgguard but orgs.
package lock

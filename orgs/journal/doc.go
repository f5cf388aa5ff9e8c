// Package journal is the record of what orgguard wrote: one file for each run, in
// it one JSON line for each step, appended and synced to the disk before the next
// call is made.
//
//	{"schema":…,"run":…,"seq":2,"time":…,"phase":"begin","change":{…},"prev":…,"hash":…}
//
// A run begins with an "open" entry (who, which command, which organization, and
// whatever the command needs to go on after a crash). Every write has a "begin"
// before it, with its plan.Change: what there was before, and what there is to be
// after. Then comes "done" or "failed" with the number of its begin. A begin
// without either is a write of which nobody knows whether it happened: the process
// died. "end" closes a run; a run without one was cut short, and "reopen" goes on
// with it.
//
// From this an undo is made: the steps in reverse order, each compared with what
// is there now (Log.Steps).
//
// The entries are chained by their hashes, so that a line that was changed, taken
// out or put in is found (Parse). A journal whose last lines were cut off cleanly
// looks like one of a run that died: a chain cannot tell, and neither can we. A
// line that a crash left half written is no damage: it is named, and left out.
//
// No credentials are in it: keys of AWS, session tokens and signatures are taken
// out of what is written (secrets.go).
//
// A Keeper keeps journals in a directory and, if it is given a Copy, in a second
// place as well (bucket, in S3). An entry counts when both have it: a run that cannot
// keep the journal it was told to keep stops before its next change, because whoever
// relies on the second place would look there in vain for what was changed.
//
// The package knows plan, and nothing of AWS or of the commands.
package journal

// Package notice makes the messages that tell people what changed from one audit of a
// history to the next: what is new, what got worse, what is resolved.
//
// It is pure. Of folds audits into a Notice; a Renderer makes mail, a chat message, a
// document for webhooks and an event of it, each within the limits of whoever carries
// it and with everything that others chose (account names, reasons, resources)
// defused for it; Told says, as a value that a history keeps, who has been told of
// which run, so that no run is told twice, none is forgotten, and nobody is flooded.
// Sending is cmd's.
//
// A channel is told of all runs since the last one it was told of. So a message that
// failed, or was held back because there were too many in an hour, is in the next one,
// and a run that is repeated after a crash tells what the first one could not.
//
// Texts of one's own are Go templates over View, checked when the configuration is
// read: fields that there are not, functions that are not for messages and loops that
// would not end are refused there. A template that fails later all the same does not
// keep a message from being sent: the built-in text goes out instead.
package notice

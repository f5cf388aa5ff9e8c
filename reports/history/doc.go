// Package history keeps audits in a file or in a bucket, so that a report can say what is new, since
// when something is wrong, and how things went over the months.
//
// The file is an SQLite database in WAL mode. A run is recorded in one transaction:
// all of it is there afterwards, or nothing, whatever is killed or torn in between;
// writers wait for one another, each compares with the one before, and none is lost.
// Readers never wait. The file must be on a local disk: SQLite's locks do not hold on
// network file systems (https://www.sqlite.org/wal.html).
//
// In a bucket (Remote) each audit is an object, and such a file without the audits is
// the index. It is replaced by a conditional write, which takes the place of the lock:
// where another run was faster, the audit is compared and recorded anew. Both kinds run
// the same code and pass the same tests.
//
// A run is kept as the JSON that orgguard printed, compressed, so that it can be
// rendered in any format years later, and as numbers for lists and trends. Beside the
// runs stand the lifetimes of findings: first seen, last seen, resolved. A finding is
// the same from run to run while its account, Region, control and resource are
// (reports.Identify). It is resolved when a run looked there again and did not find
// it; an account that cannot be entered any more, a control that is turned off or a
// narrower audit resolve nothing.
//
// Beside the runs stands a memo: bytes that change whole or not at all, whoever else is
// at it. It says who has been told of which run (package notice).
//
// It imports reports for their data and never renders. Only cmd imports it, and only
// it imports the database.
package history

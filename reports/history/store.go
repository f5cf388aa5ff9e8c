package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite" // the driver too
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/reports"
)

// application marks the file as orgguard's ("ogrd"), and version is that of the tables.
const (
	application = 0x6f677264
	version     = 1
)

// patience is how long a history waits for another process to be done with it.
const patience = time.Minute

var tables = []string{
	`CREATE TABLE run (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		organization TEXT NOT NULL,
		generated_at INTEGER NOT NULL, -- seconds since 1970
		numbers TEXT NOT NULL,         -- reports.Run as JSON
		audit BLOB NOT NULL            -- reports.Audit as JSON, compressed; in a bucket's index, the name of the object with it
	)`,
	`CREATE INDEX run_by_time ON run (organization, generated_at, id)`,
	`CREATE TABLE lifetime (
		organization TEXT NOT NULL,
		id TEXT NOT NULL,              -- reports.Identify
		first_seen INTEGER NOT NULL,
		last_seen INTEGER NOT NULL,
		resolved INTEGER,              -- NULL while it is there
		times INTEGER NOT NULL,        -- that it began
		finding TEXT NOT NULL,         -- as it was last seen, as JSON
		PRIMARY KEY (organization, id)
	) WITHOUT ROWID`,
	`CREATE INDEX lifetime_open ON lifetime (organization) WHERE resolved IS NULL`,
}

// History keeps audits: a Store in a file, a Remote in a bucket.
type History interface {
	Record(ctx context.Context, a reports.Audit, keep Keep) (reports.Audit, error)
	Runs(ctx context.Context) ([]reports.Run, error)
	Audit(ctx context.Context, run int64) (reports.Audit, error)
	Trend(ctx context.Context) ([]reports.Run, error)
	Lifetimes(ctx context.Context, all bool) ([]reports.Lifetime, error)
	// Memo reads the bytes that are kept beside the runs, nil at first, and keeps what
	// change makes of them. It is asked again when somebody else was faster, so it must
	// do nothing else.
	Memo(ctx context.Context, change func(old []byte) ([]byte, error)) error
	Close() error
}

// Store is an open history in a file.
type Store struct {
	db   *sql.DB
	file string
	// fetch reads an audit that is kept outside of the file, by its name.
	fetch func(context.Context, string) ([]byte, error)
}

// Open opens a history and makes the file when there is none.
func Open(ctx context.Context, file string) (*Store, error) { return open(ctx, file, "rwc") }

// OpenExisting opens a history that must be there.
func OpenExisting(ctx context.Context, file string) (*Store, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, &orgs.Hinted{Err: fmt.Errorf("there is no history %s", file), Next: "orgguard audit --history " + file + " begins one"}
	}
	return open(ctx, file, "rw")
}

func open(ctx context.Context, file, mode string) (*Store, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("open history %s: %w", file, err)
	}
	query := url.Values{
		"mode": {mode}, "_txlock": {"immediate"},
		"_pragma": {fmt.Sprintf("busy_timeout(%d)", patience.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)"},
	}
	name := (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: query.Encode()}).String()
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, fmt.Errorf("open history %s: %w", file, err)
	}
	db.SetMaxOpenConns(1)
	s := &Store{db: db, file: file}
	if err := whenFree(ctx, func() error { return s.prepare(ctx) }); err != nil {
		return nil, errors.Join(fmt.Errorf("open history %s: %w", file, err), db.Close())
	}
	return s, nil
}

// whenFree does again what another process was in the way of. SQLite waits for a lock
// by itself (busy_timeout) but for the one with which the first process of all turns a
// new file's journal into a write-ahead log (sqlite.org/pragma.html#pragma_journal_mode).
func whenFree(ctx context.Context, do func() error) error {
	for end := time.Now().Add(patience); ; {
		err := do()
		var busy *sqlite.Error
		if !errors.As(err, &busy) || busy.Code()&0xff != sqlite3.SQLITE_BUSY || time.Now().After(end) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// prepare makes the tables in an empty file, and refuses a file that is something else
// or from a newer orgguard.
func (s *Store) prepare(ctx context.Context) error {
	var app, have, objects int
	look := func(q interface {
		QueryRowContext(context.Context, string, ...any) *sql.Row
	}) error {
		// One statement sees one state of a file that another process is just beginning.
		return q.QueryRowContext(ctx, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
			FROM pragma_application_id, pragma_user_version`).Scan(&app, &have, &objects)
	}
	if err := look(s.db); err != nil {
		return err
	}
	if app == 0 && have == 0 && objects == 0 {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() //nolint:errcheck // undone or done already
		// Another process may have been faster.
		if err := look(tx); err != nil {
			return err
		}
		if objects == 0 {
			for _, q := range append(tables, fmt.Sprintf("PRAGMA application_id = %d", application), fmt.Sprintf("PRAGMA user_version = %d", version)) {
				if _, err := tx.ExecContext(ctx, q); err != nil {
					return err
				}
			}
			if err := tx.Commit(); err != nil {
				return err
			}
			app, have = application, version
		}
	}
	switch {
	case app != application:
		return &orgs.Hinted{Err: errors.New("the file is a database, but not a history of orgguard"), Next: "name another file"}
	case have > version:
		return &orgs.Hinted{Err: fmt.Errorf("the file is of version %d and this orgguard knows %d", have, version), Next: "use a newer orgguard, or another file"}
	}
	return nil
}

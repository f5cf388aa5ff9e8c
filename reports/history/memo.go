package history

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/orgguard/orgguard/orgs"
)

// memoName is the object that is kept beside the runs of a history in a bucket.
const memoName = "notices.json"

// memoTable is made when it is first needed: a history without it is a good one, and
// an orgguard that knows nothing of it leaves it alone.
const memoTable = `CREATE TABLE IF NOT EXISTS memo (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL)`

// Memo is History.Memo, in one transaction.
func (s *Store) Memo(ctx context.Context, change func([]byte) ([]byte, error)) error {
	if err := s.memo(ctx, change); err != nil {
		return fmt.Errorf("history %s: %w", s.file, err)
	}
	return nil
}

func (s *Store) memo(ctx context.Context, change func([]byte) ([]byte, error)) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // undone or done already
	if _, err := tx.ExecContext(ctx, memoTable); err != nil {
		return err
	}
	var old []byte
	if err := tx.QueryRowContext(ctx, `SELECT body FROM memo`).Scan(&old); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	b, err := change(old)
	if err != nil || bytes.Equal(b, old) {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO memo (id, body) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET body = ?1`, b); err != nil {
		return err
	}
	return tx.Commit()
}

// Memo is History.Memo. The object is not a part of the index: it changes without it.
func (r *Remote) Memo(ctx context.Context, change func([]byte) ([]byte, error)) error {
	return update(ctx, r.objects, memoName, r.pause, change)
}

// Update changes an object that several runs share, beside a history: change is given
// what is there, nil for nothing, and says what is to be there. Where somebody else was
// faster, it is asked again with what is there now.
func Update(ctx context.Context, o Objects, name string, change func([]byte) ([]byte, error)) error {
	return update(ctx, o, name, wait, change)
}

func update(ctx context.Context, o Objects, name string, pause func(context.Context, int) error, change func([]byte) ([]byte, error)) error {
	for i := range attempts {
		old, tag, err := o.Get(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			old, tag, err = nil, "", nil
		}
		if err != nil {
			return err
		}
		b, err := change(old)
		if err != nil || bytes.Equal(b, old) {
			return err
		}
		if tag == "" {
			err = o.Create(ctx, name, b)
		} else {
			err = o.Replace(ctx, name, b, tag)
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := pause(ctx, i); err != nil {
			return err
		}
	}
	return &orgs.Hinted{Err: fmt.Errorf("write %s/%s: others were faster %d times in a row", o, name, attempts), Next: "run fewer audits at once"}
}

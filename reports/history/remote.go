package history

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/reports"
)

// Objects are what a history in a bucket needs of it.
type Objects interface {
	// Get reads an object and a tag of its content; fs.ErrNotExist when there is none.
	Get(ctx context.Context, name string) (body []byte, tag string, err error)
	// Create writes an object that must not be there; fs.ErrExist when it is.
	Create(ctx context.Context, name string, body []byte) error
	// Replace writes an object in place of the content with a tag; fs.ErrExist when
	// there is another.
	Replace(ctx context.Context, name string, body []byte, tag string) error
	Delete(ctx context.Context, name string) error
	fmt.Stringer // what to call the place
}

const (
	// indexName is the object that is a Store's file, compressed, without the audits
	// themselves.
	indexName = "history.db.gz"
	// maxIndex bounds the index, in bytes.
	maxIndex = 1 << 30
	// attempts is how often a run that others are faster than tries to be recorded.
	attempts = 12
)

// namePattern is what names of audits in a bucket look like.
var namePattern = regexp.MustCompile(`^runs/[0-9]{8}T[0-9]{6}Z-[A-Z2-7]{26}\.json\.gz$`)

// Remote is a history in a bucket: an object with each audit, and an index. The index is
// what makes an audit part of the history. It is replaced only where it still is what the
// audit was compared with; whoever is too late compares again with the new one.
type Remote struct {
	objects Objects
	dir     string
	store   *Store // what was read of the index; nil when it has to be read
	tag     string // of what was read; "" where there is none yet
	pause   func(context.Context, int) error
}

// OpenRemote opens a history in a bucket; where there is none, the first audit that is
// recorded begins it.
func OpenRemote(ctx context.Context, o Objects) (*Remote, error) {
	dir, err := os.MkdirTemp("", "orgguard-history-")
	if err != nil {
		return nil, err
	}
	r := &Remote{objects: o, dir: dir, pause: wait}
	if _, err := r.read(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open history %s: %w", o, err), r.Close())
	}
	return r, nil
}

// OpenExistingRemote opens a history that must be there.
func OpenExistingRemote(ctx context.Context, o Objects) (*Remote, error) {
	r, err := OpenRemote(ctx, o)
	if err == nil && r.tag == "" {
		err = &orgs.Hinted{Err: fmt.Errorf("there is no history %s", o), Next: "orgguard audit --history " + o.String() + " begins one"}
		return nil, errors.Join(err, r.Close())
	}
	return r, err
}

// Close forgets what was read.
func (r *Remote) Close() error { return errors.Join(r.forget(), os.RemoveAll(r.dir)) }

// forget has the index read again when it is needed.
func (r *Remote) forget() error {
	s := r.store
	if r.store = nil; s == nil {
		return nil
	}
	return s.Close()
}

// read is the index, which is read if it has to be.
func (r *Remote) read(ctx context.Context) (*Store, error) {
	if r.store == nil {
		if err := r.load(ctx); err != nil {
			return nil, err
		}
	}
	return r.store, nil
}

func (r *Remote) load(ctx context.Context) error {
	file := filepath.Join(r.dir, "history.db")
	for _, f := range []string{file, file + "-wal", file + "-shm"} {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	packed, tag, err := r.objects.Get(ctx, indexName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		tag = ""
	case err != nil:
		return err
	default:
		if err := unzipTo(file, packed); err != nil {
			return fmt.Errorf("%s: %w", indexName, err)
		}
	}
	if r.store, err = Open(ctx, file); err != nil {
		return err
	}
	r.tag, r.store.file = tag, r.objects.String()
	r.store.fetch = func(ctx context.Context, name string) ([]byte, error) {
		b, _, err := r.objects.Get(ctx, name)
		return b, err
	}
	return nil
}

func unzipTo(file string, packed []byte) error {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(z, maxIndex+1))
	if err == nil && n > maxIndex {
		err = fmt.Errorf("it has more than %d bytes", maxIndex)
	}
	return errors.Join(err, f.Close())
}

// index is the index as it is now, compressed. The file has to be closed for that: only
// then all of it is in the one file.
func (r *Remote) index() ([]byte, error) {
	if err := r.forget(); err != nil {
		return nil, err
	}
	plain, err := os.ReadFile(filepath.Join(r.dir, "history.db"))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(plain)
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Record is Store.Record. The audit's object comes first and the index after it: a run
// that is killed in between leaves an object that no history knows.
func (r *Remote) Record(ctx context.Context, a reports.Audit, keep Keep) (reports.Audit, error) {
	kept, err := r.record(ctx, a, keep)
	if err != nil {
		return a, fmt.Errorf("record the audit in %s: %w", r.objects, err)
	}
	return kept, nil
}

func (r *Remote) record(ctx context.Context, a reports.Audit, keep Keep) (reports.Audit, error) {
	for i := range attempts {
		s, err := r.read(ctx)
		if err != nil {
			return a, err
		}
		o := outside{name: "runs/" + a.GeneratedAt.UTC().Format("20060102T150405Z") + "-" + rand.Text() + ".json.gz"}
		kept, err := s.record(ctx, a, keep, &o)
		if err != nil {
			return a, err
		}
		// Nobody else has this name: what is there, an earlier attempt of the same
		// request wrote.
		if err := r.objects.Create(ctx, o.name, o.body); err != nil && !errors.Is(err, fs.ErrExist) {
			return a, errors.Join(err, r.forget()) // it was recorded here alone
		}
		lost, err := r.commit(ctx, o.name)
		if err != nil {
			return a, err
		}
		if !lost {
			return kept, r.drop(ctx, o.gone)
		}
		if err := r.drop(ctx, []string{o.name}); err != nil {
			return a, err
		}
		// Others may be as fast once more meanwhile.
		if err := errors.Join(r.forget(), r.pause(ctx, i)); err != nil {
			return a, err
		}
	}
	return a, &orgs.Hinted{Err: fmt.Errorf("others were faster %d times in a row", attempts), Next: "write the report with --output, and record fewer audits at once"}
}

// commit writes the index, which has to be read again then. lost says that another run was faster.
func (r *Remote) commit(ctx context.Context, name string) (lost bool, err error) {
	b, err := r.index()
	if err != nil {
		return false, err
	}
	if r.tag == "" {
		err = r.objects.Create(ctx, indexName, b)
	} else {
		err = r.objects.Replace(ctx, indexName, b, r.tag)
	}
	if !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	// An answer that got lost makes the request be sent again, and the second one
	// finds what the first one wrote.
	s, err := r.read(ctx)
	if err != nil {
		return false, err
	}
	var n int
	err = s.db.QueryRowContext(ctx, `SELECT count(*) FROM run WHERE audit = ?`, name).Scan(&n)
	return n == 0, err
}

// drop deletes audits that no history has any more.
func (r *Remote) drop(ctx context.Context, names []string) error {
	for _, name := range names {
		if !namePattern.MatchString(name) {
			continue
		}
		if err := r.objects.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// wait waits longer the more often others were faster.
func wait(ctx context.Context, i int) error {
	return orgs.Pause(ctx, time.Duration(i+1)*50*time.Millisecond)
}

// Runs is Store.Runs.
func (r *Remote) Runs(ctx context.Context) ([]reports.Run, error) {
	s, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	return s.Runs(ctx)
}

// Audit is Store.Audit.
func (r *Remote) Audit(ctx context.Context, run int64) (reports.Audit, error) {
	s, err := r.read(ctx)
	if err != nil {
		return reports.Audit{}, err
	}
	return s.Audit(ctx, run)
}

// Trend is Store.Trend.
func (r *Remote) Trend(ctx context.Context) ([]reports.Run, error) {
	s, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	return s.Trend(ctx)
}

// Lifetimes is Store.Lifetimes.
func (r *Remote) Lifetimes(ctx context.Context, all bool) ([]reports.Lifetime, error) {
	s, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	return s.Lifetimes(ctx, all)
}

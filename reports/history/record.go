package history

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/reports"
)

// maxTrend is how many runs an audit carries along for a trend.
const maxTrend = 120

// Record keeps an audit and returns it with what the history knows: when each finding
// was first seen, what is new since the run before, what is gone, and the trend. What
// is older than keep says goes; the audit itself never does.
func (s *Store) Record(ctx context.Context, a reports.Audit, keep Keep) (reports.Audit, error) {
	kept, err := s.record(ctx, a, keep, nil)
	if err != nil {
		return a, fmt.Errorf("record the audit in %s: %w", s.file, err)
	}
	return kept, nil
}

// outside is an audit that is kept outside of the file, and the names of those that
// are not to be kept any more.
type outside struct {
	name string
	body []byte
	gone []string
}

// record is Record. With o, the file has only the audit's name, and o its bytes.
func (s *Store) record(ctx context.Context, a reports.Audit, keep Keep, o *outside) (reports.Audit, error) {
	fail := func(err error) (reports.Audit, error) { return a, err }
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fail(err)
	}
	defer tx.Rollback() //nolint:errcheck // undone or done already
	r := recording{ctx: ctx, tx: tx, at: a.GeneratedAt.UTC().Truncate(time.Second), org: a.Organization.ID}
	if a, err = r.annotate(a); err != nil {
		return fail(err)
	}
	if a.Run, err = r.insert(a, o); err != nil {
		return fail(err)
	}
	gone, err := keep.prune(ctx, tx, r.org, r.at)
	if err != nil {
		return fail(err)
	}
	if o != nil {
		o.gone = gone
	}
	if a.Trend, err = trendOf(ctx, tx, r.org, r.at); err != nil {
		return fail(err)
	}
	if err := tx.Commit(); err != nil {
		return fail(err)
	}
	return a, nil
}

// recording is the transaction of one audit.
type recording struct {
	ctx context.Context
	tx  *sql.Tx
	at  time.Time
	org string
	// late says that a newer run is there already: this one was slower. It ends no
	// finding's life and begins none.
	late bool
	tell reports.Tally
}

// alive is a finding of which nobody has said that it is gone.
type alive struct {
	first time.Time
	f     finding.Finding
}

func (r *recording) annotate(a reports.Audit) (reports.Audit, error) {
	previous, err := r.previous()
	if err != nil {
		return a, err
	}
	living, err := r.living()
	if err != nil {
		return a, err
	}
	before := reports.Audit{GeneratedAt: previous.GeneratedAt, Organization: a.Organization}
	for _, l := range living {
		before.Findings = append(before.Findings, l.f)
	}
	a.Findings = append([]finding.Finding(nil), a.Findings...)
	finding.Sort(a.Findings)
	at := map[string]int{}
	for i, id := range reports.Identify(a.Findings) {
		at[id] = i
		f := &a.Findings[i]
		if l, ok := living[id]; ok && !f.Settled() {
			f.FirstSeen = l.first
		} else if f.Opens() {
			f.FirstSeen = r.at
		}
	}
	since := &reports.Since{Run: previous.Run, GeneratedAt: previous.GeneratedAt, Gone: []finding.Finding{}}
	gone := map[string]bool{}
	for _, c := range reports.Compare(before, a).Findings {
		f := c.Finding
		if f.Change == finding.Unseen && !a.Scope.Covers(f) {
			continue // a narrower audit says nothing about it
		}
		*r.tell.At(f.Change)++
		if i, ok := at[c.ID]; ok {
			if previous.Run > 0 { // in the first run, all is new and nothing is news
				a.Findings[i].Change = f.Change
			}
			continue
		}
		f.FirstSeen = living[c.ID].first
		since.Gone = append(since.Gone, f)
		gone[c.ID] = f.Change == finding.Resolved
	}
	since.Changes = r.tell
	if previous.Run > 0 {
		a.Since = since
	}
	return a, r.live(a, living, at, gone)
}

// live writes down what the audit says about the lifetimes of findings.
func (r *recording) live(a reports.Audit, living map[string]alive, at map[string]int, gone map[string]bool) error {
	if r.late {
		for id, i := range at {
			if a.Findings[i].Opens() {
				if _, err := r.tx.ExecContext(r.ctx, `UPDATE lifetime SET first_seen = min(first_seen, ?) WHERE organization = ? AND id = ?`, r.at.Unix(), r.org, id); err != nil {
					return err
				}
			}
		}
		return nil
	}
	seen, err := r.tx.PrepareContext(r.ctx, `INSERT INTO lifetime (organization, id, first_seen, last_seen, times, finding) VALUES (?1, ?2, ?3, ?3, 1, ?4)
		ON CONFLICT (organization, id) DO UPDATE SET last_seen = ?3, finding = ?4,
			times = times + (resolved IS NOT NULL), first_seen = CASE WHEN resolved IS NULL THEN first_seen ELSE ?3 END, resolved = NULL`)
	if err != nil {
		return err
	}
	defer seen.Close() //nolint:errcheck // ends with the transaction
	for id, i := range at {
		f := a.Findings[i]
		if f.Settled() {
			continue
		}
		b, err := reports.EncodeFinding(f)
		if err != nil {
			return err
		}
		if _, err := seen.ExecContext(r.ctx, r.org, id, r.at.Unix(), string(b)); err != nil {
			return err
		}
	}
	for id, l := range living {
		i, listed := at[id]
		inOrder := listed && a.Findings[i].Settled()
		// Exemptions of things that are in order now are over too.
		if gone[id] || inOrder || !listed && l.f.Status == finding.Exempt && a.Scope.Covers(l.f) {
			if _, err := r.tx.ExecContext(r.ctx, `UPDATE lifetime SET resolved = ? WHERE organization = ? AND id = ?`, r.at.Unix(), r.org, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// previous is the run before; of number 0 when there is none.
func (r *recording) previous() (reports.Run, error) {
	var newest sql.NullInt64
	if err := r.tx.QueryRowContext(r.ctx, `SELECT max(generated_at) FROM run WHERE organization = ?`, r.org).Scan(&newest); err != nil {
		return reports.Run{}, err
	}
	r.late = newest.Valid && newest.Int64 > r.at.Unix()
	row := r.tx.QueryRowContext(r.ctx, `SELECT id, numbers FROM run WHERE organization = ? AND generated_at <= ? ORDER BY generated_at DESC, id DESC LIMIT 1`, r.org, r.at.Unix())
	run, err := scanRun(row)
	if errors.Is(err, sql.ErrNoRows) {
		return reports.Run{}, nil
	}
	return run, err
}

func (r *recording) living() (map[string]alive, error) {
	rows, err := r.tx.QueryContext(r.ctx, `SELECT id, first_seen, finding FROM lifetime WHERE organization = ? AND resolved IS NULL`, r.org)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what is wrong
	out := map[string]alive{}
	for rows.Next() {
		var id string
		var first int64
		var text []byte
		if err := rows.Scan(&id, &first, &text); err != nil {
			return nil, err
		}
		f, err := reports.ReadFinding(text)
		if err != nil {
			return nil, err
		}
		out[id] = alive{time.Unix(first, 0).UTC(), f}
	}
	return out, rows.Err()
}

// insert writes the run itself and returns its number.
func (r *recording) insert(a reports.Audit, o *outside) (int64, error) {
	numbers := reports.RunOf(a)
	numbers.Changes = r.tell
	n, err := json.Marshal(numbers)
	if err != nil {
		return 0, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(reports.Write(z, reports.JSON, reports.Style{}, a), z.Close()); err != nil {
		return 0, err
	}
	kept := any(b.Bytes())
	if o != nil {
		o.body, kept = b.Bytes(), o.name
	}
	done, err := r.tx.ExecContext(r.ctx, `INSERT INTO run (organization, generated_at, numbers, audit) VALUES (?, ?, ?, ?)`, r.org, r.at.Unix(), string(n), kept)
	if err != nil {
		return 0, err
	}
	return done.LastInsertId()
}

func scanRun(row interface{ Scan(...any) error }) (reports.Run, error) {
	var id int64
	var numbers []byte
	if err := row.Scan(&id, &numbers); err != nil {
		return reports.Run{}, err
	}
	var run reports.Run
	err := json.Unmarshal(numbers, &run)
	run.Run = id
	return run, err
}

func unpack(b []byte) (reports.Audit, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return reports.Audit{}, err
	}
	a, err := reports.ReadAudit(z)
	if err == nil {
		_, err = io.Copy(io.Discard, z) // the checksum stands at the end
	}
	return a, err
}

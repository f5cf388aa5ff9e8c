package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/reports"
)

type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// Runs lists the runs, the oldest first.
func (s *Store) Runs(ctx context.Context) ([]reports.Run, error) {
	out, err := runsOf(ctx, s.db, `SELECT id, numbers FROM run ORDER BY generated_at, id`)
	if err != nil {
		return nil, fmt.Errorf("read history %s: %w", s.file, err)
	}
	return out, nil
}

func runsOf(ctx context.Context, q querier, query string, args ...any) ([]reports.Run, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what is wrong
	out := []reports.Run{}
	for rows.Next() {
		run, err := scanRun(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, run)
	}
	return out, rows.Err()
}

// trendOf are the runs of an organization up to a time, without those that were about a
// part of it: they would look like a trend and be none.
func trendOf(ctx context.Context, q querier, org string, at time.Time) ([]reports.Run, error) {
	runs, err := runsOf(ctx, q, `SELECT id, numbers FROM run WHERE organization = ? AND generated_at <= ? AND NOT coalesce(json_extract(numbers, '$.narrowed'), 0)
		ORDER BY generated_at DESC, id DESC LIMIT ?`, org, at.Unix(), maxTrend)
	slices.Reverse(runs)
	return runs, err
}

// Audit returns a run as it was reported, with the trend up to it. Run 0 is the latest,
// -1 the one before it, and so on.
func (s *Store) Audit(ctx context.Context, run int64) (reports.Audit, error) {
	var b []byte
	var id int64
	var err error
	if run > 0 {
		err = s.db.QueryRowContext(ctx, `SELECT id, audit FROM run WHERE id = ?`, run).Scan(&id, &b)
	} else {
		err = s.db.QueryRowContext(ctx, `SELECT id, audit FROM run ORDER BY generated_at DESC, id DESC LIMIT 1 OFFSET ?`, -run).Scan(&id, &b)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return reports.Audit{}, &orgs.Hinted{Err: fmt.Errorf("history %s has no run %s", s.file, runName(run)), Next: "orgguard report list --history " + s.file}
	case err != nil:
		return reports.Audit{}, fmt.Errorf("read history %s: %w", s.file, err)
	}
	if name := string(b); s.fetch != nil && namePattern.MatchString(name) {
		if b, err = s.fetch(ctx, name); err != nil {
			return reports.Audit{}, fmt.Errorf("read run %s of history %s: %w", runName(run), s.file, err)
		}
	}
	a, err := unpack(b)
	if err != nil {
		return a, fmt.Errorf("read run %s of history %s: %w", runName(run), s.file, err)
	}
	a.Run = id
	if a.Trend, err = trendOf(ctx, s.db, a.Organization.ID, a.GeneratedAt); err != nil {
		return a, fmt.Errorf("read history %s: %w", s.file, err)
	}
	return a, nil
}

func runName(run int64) string {
	switch {
	case run == 0:
		return "at all"
	case run < 0:
		return fmt.Sprintf("that is %d before the latest", -run)
	}
	return fmt.Sprint(run)
}

// Trend are the runs of the organization that the latest run is about, without those
// that were about a part of it.
func (s *Store) Trend(ctx context.Context) ([]reports.Run, error) {
	a, err := s.Audit(ctx, 0)
	return a.Trend, err
}

// Lifetimes lists the findings that are there, or with all also those that were, by
// account, Region, control and resource.
func (s *Store) Lifetimes(ctx context.Context, all bool) ([]reports.Lifetime, error) {
	out, err := s.lifetimes(ctx, all)
	if err != nil {
		return nil, fmt.Errorf("read history %s: %w", s.file, err)
	}
	reports.SortLifetimes(out)
	return out, nil
}

func (s *Store) lifetimes(ctx context.Context, all bool) ([]reports.Lifetime, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, first_seen, last_seen, resolved, times, finding FROM lifetime WHERE ? OR resolved IS NULL`, all)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what is wrong
	out := []reports.Lifetime{}
	for rows.Next() {
		var l reports.Lifetime
		var first, last int64
		var resolved sql.NullInt64
		var text []byte
		if err := rows.Scan(&l.ID, &first, &last, &resolved, &l.Times, &text); err != nil {
			return nil, err
		}
		if l.Finding, err = reports.ReadFinding(text); err != nil {
			return nil, err
		}
		l.FirstSeen, l.LastSeen = time.Unix(first, 0).UTC(), time.Unix(last, 0).UTC()
		if resolved.Valid {
			l.Resolved = time.Unix(resolved.Int64, 0).UTC()
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

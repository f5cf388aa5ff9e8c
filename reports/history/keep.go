package history

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Keep says which runs stay. The zero Keep keeps all.
type Keep struct {
	Age  time.Duration // the greatest, reckoned from the newest run
	Runs int           // the newest
}

var keepPattern = regexp.MustCompile(`^([0-9]{1,6})(d|w| ?runs?)?$`)

// ParseKeep reads what a user types: 90d, 26w, or a number of runs.
func ParseKeep(s string) (Keep, error) {
	if s == "" {
		return Keep{}, nil
	}
	m := keepPattern.FindStringSubmatch(s)
	n := 0
	if m != nil {
		n, _ = strconv.Atoi(m[1]) // six digits at most
	}
	switch {
	case n == 0:
		return Keep{}, fmt.Errorf("%q does not say what to keep; want days such as 90d, weeks such as 26w, or a number of runs such as 500", s)
	case m[2] == "d":
		return Keep{Age: time.Duration(min(n, 36_500)) * 24 * time.Hour}, nil
	case m[2] == "w":
		return Keep{Age: time.Duration(min(n, 5_200)) * 7 * 24 * time.Hour}, nil
	}
	return Keep{Runs: n}, nil
}

// prune deletes an organization's runs that are not to be kept, and the lifetimes that
// ended before the oldest that is. The run at the given time, the newest, stays. It
// returns the names of audits that are kept elsewhere.
func (k Keep) prune(ctx context.Context, tx *sql.Tx, org string, at time.Time) ([]string, error) {
	var gone []string
	if k.Age > 0 {
		names, err := deleteRuns(ctx, tx, `organization = ? AND generated_at < ?`, org, at.Add(-k.Age).Unix())
		if err != nil {
			return nil, err
		}
		gone = names
	}
	if k.Runs > 0 {
		names, err := deleteRuns(ctx, tx, `organization = ?1 AND id NOT IN
			(SELECT id FROM run WHERE organization = ?1 ORDER BY generated_at DESC, id DESC LIMIT ?2)`, org, k.Runs)
		if err != nil {
			return nil, err
		}
		gone = append(gone, names...)
	}
	if k == (Keep{}) {
		return nil, nil
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM lifetime WHERE organization = ?1 AND resolved < (SELECT min(generated_at) FROM run WHERE organization = ?1)`, org)
	return gone, err
}

func deleteRuns(ctx context.Context, tx *sql.Tx, which string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(ctx, `DELETE FROM run WHERE `+which+` RETURNING CASE typeof(audit) WHEN 'text' THEN audit ELSE '' END`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what is wrong
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return names, rows.Err()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/journal/bucket"
	"github.com/orgguard/orgguard/orgs/lock"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/reports"
)

// breakLockFlag takes the lock away from a run that is dead.
func breakLockFlag() cli.Flag {
	return &cli.StringFlag{Name: "break-lock", Usage: "take the lock `ID` away from a run that is dead"}
}

// shown is where what comes before the result goes, and how: stdout carries JSON
// alone.
func (s *session) shown(f reports.Format) (io.Writer, reports.Format) {
	if f == reports.JSON {
		return s.err, reports.Table
	}
	return s.out, f
}

// confirm asks before n changes are made, unless --yes was given; an error is no.
func (s *session) confirm(yes bool, n int) error {
	if yes {
		return nil
	}
	if n == 1 {
		return s.agree("Make this change?")
	}
	return s.agree(fmt.Sprintf("Make these %d changes?", n))
}

// agree asks a question on which everything depends; an error is no.
func (s *session) agree(question string) error {
	if ok, err := s.ask(question); err != nil || !ok {
		s.note("nothing was changed")
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return status(exitDrift)
	}
	return nil
}

// lockStore is where the organization's lock is: in the management account, so that
// its delegated administrators meet the same one.
func (s *session) lockStore() lock.Store {
	return lock.Store{API: s.pool.SSM, At: s.pool.In(s.org.Partition, s.org.ManagementAccount, s.base.Home).SSM}
}

// unlocked says whether a command that writes may go on: nobody else is writing, or
// it was asked for to break that one's lock.
func (s *session) unlocked(ctx context.Context, breakID string) error {
	if breakID != "" {
		if err := s.lockStore().Break(ctx, breakID); err != nil {
			return err
		}
	}
	return s.lockStore().Check(ctx)
}

// journalDir is where the journals are: beside the simulated organization, if it is
// one, or in the directory where orgguard runs.
func (s *session) journalDir() string {
	if s.sandbox {
		return filepath.Join(filepath.Dir(s.sandboxFile), "journal")
	}
	return journal.Dir
}

// keeper is where journals are kept, in the directory and where the configuration says.
func (s *session) keeper(dir string) journal.Keeper {
	k := journal.Keeper{Dir: dir, Now: s.now}
	if s.cfg.Journal.Bucket != "" {
		k.Copy = s.journalCopy()
	}
	return k
}

// journalCopy is the bucket that the configuration names for the journal.
func (s *session) journalCopy() bucket.Copy {
	return bucket.Copy{
		API: s.pool.S3, At: s.pool.In(s.org.Partition, s.base.Security, s.base.Home).S3,
		Name: s.cfg.Journal.Bucket, Owner: s.base.Security, Prefix: s.cfg.Journal.Prefix, Organization: s.org.ID,
	}
}

// locked does something under the organization's lock. It is let go at the end, after
// Ctrl-C too; a process that is killed leaves it, and the next one is told how to break
// it.
func (s *session) locked(ctx context.Context, command string, do func() error) (err error) {
	host, herr := os.Hostname()
	if herr != nil {
		host = "an unknown host"
	}
	held, err := s.lockStore().Acquire(ctx, lock.Holder{Who: s.pool.Caller().ARN, Command: command, Host: host, Since: s.now().UTC()})
	if err != nil {
		return err
	}
	defer func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer cancel()
		err = errors.Join(err, s.lockStore().Release(release, held.ID))
	}()
	return do()
}

// execute carries tasks out under the organization's lock, with a line in the
// journal before and after each.
func (s *session) execute(ctx context.Context, command string, tasks []plan.Task, e plan.Execution) (res plan.Result, err error) {
	err = s.locked(ctx, command, func() error {
		res, err = s.journaled(ctx, command, tasks, e)
		return err
	})
	return res, err
}

func (s *session) journaled(ctx context.Context, command string, tasks []plan.Task, e plan.Execution) (res plan.Result, err error) {
	j, err := s.keeper(s.journalDir()).Create(ctx, journal.Header{Command: command, Who: s.pool.Caller().ARN, Organization: s.org.ID, ToolVersion: version})
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	s.note("run %s: orgguard undo --run %s takes it back", j.Run(), j.Run())
	if s.guard != nil {
		s.guard.Record(j)
	}
	res = e.Run(ctx, j.Tasks(tasks))
	outcome := "done"
	if n := res.Failed(); n > 0 {
		outcome = reports.Count(n, "change", "changes") + " failed or not begun"
	}
	return res, j.End(outcome)
}

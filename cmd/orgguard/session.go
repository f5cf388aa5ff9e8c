package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/term"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/bucket"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/reports/notice"
	"github.com/orgguard/orgguard/scp/preview"
	"github.com/orgguard/orgguard/scp/protect"
)

// session is what a command that looks at an organization works with.
type session struct {
	globals
	streams
	cfg   *spec.Config
	pool  *access.Pool
	org   *orgs.Organization
	base  *baseline.Baseline
	guard *protect.Guard // nil when scp-protect-config is off
	world *sim.World     // the simulated organization; nil on AWS
	now   func() time.Time
	aws   aws.Config
	mode  mode
	blind baseline.Blind // of plan and rollout
}

// workers is how many resources are looked at at once. Requests on the wire have
// a limit of their own; twice as many workers keep it busy while some of them wait
// for a retry or for an account to be entered.
func (s *session) workers() int { return 2 * s.concurrency }

// mode says what a session's credentials in member accounts may do.
type mode bool

const (
	reads  mode = true  // a session policy allows nothing but reads
	writes mode = false // what the access role may do
)

// open reads the configuration and the organization.
func open(ctx context.Context, g globals, st streams, m mode) (*session, error) {
	s, err := connectable(ctx, g, st)
	if err != nil {
		return s, err
	}
	return s.connect(ctx, m)
}

// openWith is open with a configuration that no file holds.
func openWith(ctx context.Context, g globals, st streams, m mode, cfg *spec.Config) (*session, error) {
	return (&session{globals: g, streams: st, now: time.Now, cfg: cfg}).connect(ctx, m)
}

// connect finds out who is calling and reads the organization.
func (s *session) connect(ctx context.Context, m mode) (*session, error) {
	cfg, err := s.awsConfig(ctx)
	if err != nil {
		return s, err
	}
	if s.pool, err = s.newPool(ctx, cfg, m); err != nil {
		return s, err
	}
	return s, s.load(ctx)
}

// connectable is a session that has read its configuration and called nobody yet.
func connectable(ctx context.Context, g globals, st streams) (*session, error) {
	s := &session{globals: g, streams: st, now: time.Now}
	var err error
	s.cfg, err = s.loadConfig(ctx)
	return s, err
}

// newPool finds out who is calling.
func (s *session) newPool(ctx context.Context, cfg aws.Config, m mode) (*access.Pool, error) {
	s.aws, s.mode = cfg, m
	return s.poolOf(ctx, s.roleIn(m))
}

// roleIn is the role of the configuration with which accounts are entered.
func (s *session) roleIn(m mode) string {
	if m == reads && s.cfg.Organization.AuditRole != "" {
		return s.cfg.Organization.AuditRole
	}
	return s.cfg.Organization.AccessRole
}

// program is how orgguard is typed for the organization of the session.
func (s *session) program() string {
	if s.sandbox {
		return "orgguard --sandbox"
	}
	return "orgguard"
}

// poolOf is a pool that assumes a role in the accounts.
func (s *session) poolOf(ctx context.Context, role string) (*access.Pool, error) {
	return access.New(ctx, s.aws, access.Options{
		Role: role, ExternalID: s.cfg.Organization.ExternalID, ReadOnly: s.mode == reads, InFlight: s.concurrency,
		// An endpoint of one's own has no rates of AWS's to keep.
		NoRateLimits: s.world != nil || s.within != nil || os.Getenv("AWS_ENDPOINT_URL") != "",
	})
}

// load reads the organization and applies the configuration to it.
func (s *session) load(ctx context.Context) error {
	var err error
	if s.org, err = orgs.Load(ctx, s.pool.Organizations); err != nil {
		return err
	}
	return s.resolve()
}

// resolve applies the configuration to the organization.
func (s *session) resolve() error {
	var err error
	if s.base, err = baseline.Resolve(s.cfg, s.org, s.pool.Region()); err != nil {
		return badInput(err)
	}
	s.base.At = s.now()
	if s.guard, err = protect.New(s.cfg, s.org); err == nil && s.guard != nil {
		s.guard.Judge = preview.Input{Guards: s.guards(nil), Regions: s.base.Regions}
		s.guard.Say = func(text string) { s.note("%s", text) }
	}
	return badInput(err)
}

// close saves the simulated organization.
func (s *session) close() error {
	if s == nil || s.world == nil {
		return nil
	}
	return s.world.Close()
}

// configFile is where the configuration is.
func (s *session) configFile() string {
	if s.sandbox && !s.configGiven {
		if f := sandboxConfig(s.sandboxFile); exists(f) {
			return f
		}
	}
	return s.config
}

// loadConfig reads the configuration file, or takes the defaults where there is
// none and none was asked for.
func (s *session) loadConfig(ctx context.Context) (*spec.Config, error) {
	file := s.configFile()
	known := baseline.Known()
	known.Elsewhere = []string{protect.Control}
	known.Template = notice.CheckTemplate
	if bucket.IsURL(file) {
		text, err := s.readAt(ctx, file)
		if err != nil {
			return nil, fmt.Errorf("read the configuration: %w", err)
		}
		cfg, err := spec.Parse(file, text, known)
		return cfg, badInput(err)
	}
	cfg, err := spec.Load(file, known)
	if errors.Is(err, fs.ErrNotExist) && !s.configGiven {
		s.note("no %s: using the defaults", s.config)
		return spec.Default(), nil
	}
	return cfg, badInput(err)
}

// sandboxConfig is the configuration that belongs to a simulated organization.
func sandboxConfig(sandboxFile string) string {
	return filepath.Join(filepath.Dir(sandboxFile), "orgguard.yaml")
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// awsConfig is the SDK's configuration, or the simulated organization's.
func (s *session) awsConfig(ctx context.Context) (aws.Config, error) {
	region := s.region
	if region == "" && s.cfg != nil { // a configuration in S3 is read before there is one
		region = s.cfg.HomeRegion
	}
	if region == "" {
		region = "us-east-1"
	}
	if s.within != nil {
		return s.within.world.Config(region, s.within.as), nil
	}
	if !s.sandbox {
		return access.LoadConfig(ctx, s.profile, region)
	}
	if s.world == nil {
		w, err := sim.Open(s.sandboxFile)
		if err != nil {
			return aws.Config{}, err
		}
		w.SetProgram(s.simulatedFunction)
		s.world = w
	}
	return s.world.ManagementConfig(region), nil
}

// note says something on stderr, unless --quiet.
func (s *session) note(format string, args ...any) {
	if !s.quiet {
		fmt.Fprintln(s.err, "orgguard: "+safeLines(fmt.Sprintf(format, args...)))
	}
}

// style is how people-formats are drawn on stdout.
func (s *session) style() reports.Style { return styleOf(s.globals, s.streams) }

func styleOf(g globals, st streams) reports.Style {
	style := reports.Style{Color: st.outTTY && !g.noColor && os.Getenv("NO_COLOR") == ""}
	if f, ok := st.out.(*os.File); ok && st.outTTY {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			style.Width = min(max(w, 80), 160)
		}
	}
	return style
}

// withTimeout applies --timeout.
func withTimeout(ctx context.Context, g globals) (context.Context, context.CancelFunc) {
	if g.timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, g.timeout)
}

// stopped says why a command ended early: what an SDK makes of it reads like
// trouble with AWS.
func stopped(ctx context.Context, g globals, err error) error {
	var said *exitError
	switch {
	case errors.As(err, &said):
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &orgs.Hinted{Err: fmt.Errorf("gave up after --timeout %s: %w", g.timeout, err), Next: "give it more time: --timeout"}
	}
	return &orgs.Hinted{Err: fmt.Errorf("interrupted: %w", err), Next: "run it again"}
}

// readFunc is a reader.
type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// until reads until ctx is done: whoever is asked at a terminal may answer with Ctrl-C.
func until(ctx context.Context, r io.Reader) io.Reader {
	type read struct {
		data []byte
		err  error
	}
	return readFunc(func(p []byte) (int, error) {
		done := make(chan read, 1)
		go func() {
			data := make([]byte, len(p)) // p is the caller's again when ctx is done
			n, err := r.Read(data)
			done <- read{data[:n], err}
		}()
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case got := <-done:
			return copy(p, got.data), got.err
		}
	})
}

// withSession opens a session, runs fn and closes the session.
func withSession(ctx context.Context, g globals, st streams, m mode, fn func(context.Context, *session) error) error {
	return withOpened(ctx, g, func(ctx context.Context) (*session, error) { return open(ctx, g, st, m) }, fn)
}

// withOpened is withSession for a session that is opened in a way of its own.
func withOpened(ctx context.Context, g globals, open func(context.Context) (*session, error), fn func(context.Context, *session) error) error {
	ctx, cancel := withTimeout(ctx, g)
	defer cancel()
	s, err := open(ctx)
	if err == nil {
		if s.in != nil {
			s.in = until(ctx, s.in)
		}
		err = fn(ctx, s)
	}
	if err != nil && ctx.Err() != nil {
		err = stopped(ctx, g, err)
	}
	if cerr := s.close(); err == nil && cerr != nil {
		err = cerr
	}
	return err
}

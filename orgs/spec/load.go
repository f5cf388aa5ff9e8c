package spec

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs"
)

//go:embed orgguard.schema.json
var schema []byte

//go:embed example.yaml
var example []byte

// Schema is the JSON Schema (2020-12) of orgguard.yaml, for editors. It says
// what a value may look like; what values must agree with each other, and with
// the controls there are, only Load knows.
func Schema() []byte { return slices.Clone(schema) }

// Example is a complete orgguard.yaml with comments.
func Example() []byte { return slices.Clone(example) }

// Known is what a configuration is checked against besides its own shape.
type Known struct {
	// Controls are the ids of the controls there are. Nil: any id will do.
	Controls []string
	// Elsewhere are the ids of controls that are configured outside of the
	// baseline section; exemptions may name them too.
	Elsewhere []string
	// Partition is the partition whose Regions the file may name. The zero
	// Partition stands for all of them, but a file keeps to one.
	Partition orgs.Partition
	// Settings returns a pointer to a control's settings with their defaults,
	// or nil for a control that takes none. If the struct is a Validator it is
	// asked too. Without this function the blocks are not looked into.
	Settings func(id string) any
	// Once says what an override cannot change about a control, with the alerts
	// in a mode: the control as a whole, or some of its settings, because the
	// organization has them once. Without this function everything may vary.
	Once func(id string, mode AlertMode) (whole bool, settings []string)
	// Template says what is wrong with a template of the notices, by its key. Without
	// this function they are not looked into.
	Template func(key, text string) error
}

// Default is the configuration that holds without a file. Every call returns a
// new one.
func Default() *Config {
	return &Config{
		Version:      1,
		Organization: Organization{AccessRole: "OrganizationAccountAccessRole"},
		Alerts:       Alerts{Mode: Central},
		Baseline:     map[string]Control{},
		SCP:          SCP{ProtectConfig: ProtectConfig{Enabled: true, Attach: []string{"root"}, Strict: true}},
		Rollout:      Rollout{FailureTolerance: "5%", MaxConcurrent: "100%"},
		Journal:      Journal{Prefix: "orgguard/journal/"},
		Audit:        Audit{Grace: 4 * time.Hour},
		Notices:      Notices{Language: "en", PerHour: 6},
		Schedule:     Schedule{Every: "6h", Engine: "auto"},
	}
}

func (e *Exemption) setDefaults() { e.Region = "*" }

// Load reads a configuration file. If there is something wrong with what it
// says, the error is a Problems with all of it.
func Load(path string, known Known) (*Config, error) {
	data, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &orgs.Hinted{
			Err:  fmt.Errorf("read the configuration: %w", err),
			Next: "`--config FILE` names a configuration that is somewhere else",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(path, data, known)
}

// read reads a file, but not much more of it than a configuration may have.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	return data, errors.Join(err, f.Close())
}

// Parse is Load for a file that has been read; file is its name in messages.
func Parse(file string, data []byte, known Known) (*Config, error) {
	root, problems := parse(file, data)
	if len(problems) > 0 {
		return nil, problems
	}
	d := &decoder{file: file}
	d.inspect(root, 0)
	c := Default()
	c.File = file
	d.value(root, reflect.ValueOf(c).Elem(), "")
	if !d.bad[root] {
		check := &checker{decoder: d, root: root, known: known}
		c.validate(check)
	}
	if len(d.problems) > 0 {
		return nil, d.problems.sorted()
	}
	return c, nil
}

const allEnabled = "all-enabled"

// decodeNode reads a list of Regions or the word all-enabled.
func (r *Regions) decodeNode(d *decoder, n *yaml.Node, what string) {
	switch {
	case n.Kind == yaml.SequenceNode:
		d.list(n, reflect.ValueOf(&r.List).Elem(), what)
	case n.Tag == "!!str" && n.Value == allEnabled:
		r.AllEnabled = true
	default:
		d.fail(n, "%s: want a list of Regions such as [us-east-1], or %s, found %s", what, allEnabled, found(n))
	}
}

const dateLayout = time.DateOnly

var datePattern = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)

// decodeNode reads a date, with quotes or without.
func (t *Date) decodeNode(d *decoder, n *yaml.Node, what string) {
	day, err := time.Parse(dateLayout, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || !datePattern.MatchString(n.Value) {
		d.fail(n, "%s: want a date such as 2027-03-31, found %s", what, found(n))
		return
	}
	t.Time = day
}

// String is the date as the file has it.
func (t Date) String() string { return t.Format(dateLayout) }

// Over says whether the day has passed: it lasts until midnight UTC.
func (t Date) Over(now time.Time) bool { return !now.UTC().Before(t.AddDate(0, 0, 1)) }

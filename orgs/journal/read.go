package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
)

// Log is a journal as it was read.
type Log struct {
	Entries []Entry
	// Torn says that the last line is half written, as a crash leaves it; "" when
	// it is whole. The line is not among the entries.
	Torn string
	size int64 // bytes up to the torn line
}

// DamageError is a journal that was changed after it was written, or is none.
type DamageError struct {
	Line int
	Err  error
}

func (e *DamageError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *DamageError) Unwrap() error { return e.Err }

// Read reads the journal of a run and verifies it. The entries before the damage
// are returned together with a *DamageError.
func Read(dir, run string) (Log, error) {
	l, _, err := read(dir, run)
	return l, err
}

// read is Read that returns the text as well, without a torn line.
func read(dir, run string) (Log, []byte, error) {
	name, err := file(dir, run)
	if err != nil {
		return Log{}, nil, err
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Log{}, nil, &orgs.Hinted{Err: fmt.Errorf("there is no journal of run %s in %s: %w", run, dir, err), Next: "ls " + dir + "; journals are where the run was started, or in --journal"}
	}
	if err != nil {
		return Log{}, nil, fmt.Errorf("journal: %w", err)
	}
	l, err := parseRun(run, text)
	if err != nil {
		return l, nil, fmt.Errorf("journal %s: %w", name, err)
	}
	return l, text[:l.size], nil
}

// parseRun is Parse for what must be the journal of a run.
func parseRun(run string, text []byte) (Log, error) {
	l, err := Parse(bytes.NewReader(text))
	if err == nil && l.Run() != run {
		err = &DamageError{1, fmt.Errorf("it is the journal of run %s", l.Run())}
	}
	return l, err
}

// Parse reads a journal and verifies that no line was changed, taken out, put in
// or moved.
func Parse(r io.Reader) (Log, error) {
	var l Log
	lines := bufio.NewReader(r)
	begun := map[int]bool{} // begins without an outcome
	for {
		line, err := readLine(lines)
		n := len(l.Entries) + 1
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			if n == 1 {
				return l, &DamageError{1, errors.New("it is empty")}
			}
			return l, nil
		case errors.Is(err, io.EOF):
			if n == 1 {
				return l, &DamageError{1, errors.New("its only line is half written: the run died before it could change anything")}
			}
			l.Torn = fmt.Sprintf("line %d is half written (%d bytes): the run died while it wrote it", n, len(line))
			return l, nil
		case err != nil:
			return l, &DamageError{n, err}
		}
		e, err := parseLine(line[:len(line)-1])
		if err == nil {
			err = l.follows(e, begun)
		}
		if err != nil {
			return l, &DamageError{n, err}
		}
		l.Entries = append(l.Entries, e)
		l.size += int64(len(line))
	}
}

// readLine reads a line with its end, which the last one may lack.
func readLine(r *bufio.Reader) ([]byte, error) {
	var out []byte
	for {
		part, err := r.ReadSlice('\n')
		out = append(out, part...)
		if len(out) > maxLine {
			return nil, fmt.Errorf("longer than %d MiB", maxLine>>20)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return out, err
		}
	}
}

// follows checks that an entry is the next one.
func (l *Log) follows(e Entry, begun map[int]bool) error {
	if len(l.Entries) == 0 {
		if e.Seq != 1 || e.Prev != "" {
			return fmt.Errorf("it is entry %d: the entries before it are missing", e.Seq)
		}
		if e.Phase != Open || e.Header == nil {
			return errors.New("a journal begins with an open entry")
		}
		return nil
	}
	last := l.Entries[len(l.Entries)-1]
	switch {
	case e.Run != last.Run:
		return fmt.Errorf("it is of run %s", e.Run)
	case e.Seq > last.Seq+1:
		return fmt.Errorf("it is entry %d after entry %d: something is missing", e.Seq, last.Seq)
	case e.Seq <= last.Seq:
		return fmt.Errorf("it is entry %d after entry %d: it was put in or moved", e.Seq, last.Seq)
	case e.Prev != last.Hash:
		return errors.New("it does not follow the entry before: the chain is broken")
	}
	switch e.Phase {
	case Begin:
		if e.Change == nil {
			return errors.New("it begins nothing")
		}
		begun[e.Seq] = true
	case Done, Failed:
		if !begun[e.Of] {
			return fmt.Errorf("entry %d, which it ends, did not begin or has ended", e.Of)
		}
		delete(begun, e.Of)
	case Reopen:
		if e.Header == nil {
			return errors.New("a reopen entry says who goes on")
		}
	case Open:
		return errors.New("a second open entry")
	case Note, End:
	default:
		return fmt.Errorf("unknown phase %q", e.Phase)
	}
	return nil
}

// Run is the run's id.
func (l Log) Run() string {
	if len(l.Entries) == 0 {
		return ""
	}
	return l.Entries[0].Run
}

// Header is what the run said about itself when it began.
func (l Log) Header() Header {
	if len(l.Entries) == 0 {
		return Header{}
	}
	return *l.Entries[0].Header
}

// Outcome is how the run ended; "" when it was cut short, or is under way.
func (l Log) Outcome() string {
	for _, e := range slices.Backward(l.Entries) {
		switch e.Phase {
		case End:
			return e.Text
		case Reopen, Begin:
			return ""
		}
	}
	return ""
}

// Record is a write of a run.
type Record struct {
	Seq    int // of its begin
	Change plan.Change
	Was    any // what the change found in place; nil when nobody noted it
	// Phase is Done, Failed, or Begin for a write of which nobody knows
	// whether it happened.
	Phase    Phase
	Result   any
	Text     string // the error
	Failures []plan.Failure
}

// Steps are the writes of the run, in the order in which they began. An undo
// takes them from the last to the first, and looks at each whether it is there:
// one that failed may have happened all the same.
func (l Log) Steps() []Record {
	var out []Record
	at := map[int]int{}
	for _, e := range l.Entries {
		switch e.Phase {
		case Begin:
			at[e.Seq] = len(out)
			out = append(out, Record{Seq: e.Seq, Change: *e.Change, Was: e.Was, Phase: Begin})
		case Done, Failed:
			r := &out[at[e.Of]]
			r.Phase, r.Result, r.Text, r.Failures = e.Phase, e.Result, e.Text, e.Failures
		}
	}
	return out
}

// Summary is a run in a list.
type Summary struct {
	Run     string    `json:"run"`
	Began   time.Time `json:"began"`
	Last    time.Time `json:"last"`
	Command string    `json:"command"`
	Who     string    `json:"who"`
	// Organization is where it wrote.
	Organization string `json:"organization"`
	Writes       int    `json:"writes"`
	Failed       int    `json:"failed"`
	Unknown      int    `json:"unknown"` // begun, and nobody knows whether made
	Outcome      string `json:"outcome"` // "" when it was cut short, or is under way
	Problem      string `json:"problem"` // why the journal cannot be trusted
	Torn         string `json:"torn"`
	// Place is where it is when it is not in the directory; its writes are not
	// counted then, only its entries.
	Place   string `json:"place,omitempty"`
	Entries int    `json:"entries,omitempty"`
}

// Summarize is a journal in short.
func Summarize(l Log) Summary {
	if len(l.Entries) == 0 {
		return Summary{}
	}
	h := l.Header()
	s := Summary{
		Run: l.Run(), Began: l.Entries[0].Time, Last: l.Entries[len(l.Entries)-1].Time, Command: h.Command, Who: h.Who, Organization: h.Organization,
		Outcome: l.Outcome(), Torn: l.Torn,
	}
	for _, r := range l.Steps() {
		s.Writes++
		switch r.Phase {
		case Failed:
			s.Failed++
		case Begin:
			s.Unknown++
		}
	}
	return s
}

// List lists the runs in a directory, the newest first. A journal that is damaged
// is listed with its problem; a directory that is not there has none.
func List(dir string) ([]Summary, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var out []Summary
	for _, e := range slices.Backward(entries) { // names are times
		run, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || !runName.MatchString(run) || e.IsDir() {
			continue
		}
		l, err := Read(dir, run)
		s := Summarize(l)
		s.Run = run
		if err != nil {
			s.Problem = err.Error()
		}
		out = append(out, s)
	}
	return out, nil
}

// Decode reads a value that went through the journal, such as a header's details
// or a result, into what it was.
func Decode(value, into any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if bytes.Contains(b, []byte(Redacted)) {
		return errors.New("journal: a part of it was taken out because it looked like a secret")
	}
	return json.Unmarshal(b, into)
}

package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/orgguard/orgguard/orgs/plan"
)

// Schema names the format of an entry.
const Schema = "orgguard.dev/journal/v1"

// Phase is what an entry tells.
type Phase string

// The phases.
const (
	Open   Phase = "open"   // a run begins
	Reopen Phase = "reopen" // a run goes on after it was cut short
	Begin  Phase = "begin"  // a write is about to be made
	Done   Phase = "done"   // it was made, and verified
	Failed Phase = "failed" // it was refused, or nobody knows
	Note   Phase = "note"   // something about the run that is not a write
	End    Phase = "end"    // the run is over
)

// Header is what a run says about itself.
type Header struct {
	Command      string `json:"command"` // as it was given
	Who          string `json:"who"`     // the caller's ARN
	Organization string `json:"organization"`
	ToolVersion  string `json:"tool_version"`
	// Details is what the command needs to go on with the run.
	Details any `json:"details,omitempty"`
}

// Entry is a line of a journal.
type Entry struct {
	Schema  string    `json:"schema"`
	Run     string    `json:"run"`
	Seq     int       `json:"seq"` // from 1, without gaps
	Time    time.Time `json:"time"`
	Command string    `json:"command"`
	Who     string    `json:"who"`
	Phase   Phase     `json:"phase"`
	// Header is the run's, in an open or reopen entry.
	Header *Header `json:"header,omitempty"`
	// Change is what is to be done, in a begin entry.
	Change *plan.Change `json:"change,omitempty"`
	// Was is what the change found in place, in full, in a begin entry: what an
	// undo puts back. The change's own before is what people read.
	Was any `json:"was,omitempty"`
	// Of is the number of the begin entry that a done or failed one is about.
	Of int `json:"of,omitempty"`
	// Result is what a write gave that was not known before, e.g. an id.
	Result any `json:"result,omitempty"`
	// Failures are accounts × Regions where a change that reaches many did not
	// succeed.
	Failures []plan.Failure `json:"failures,omitempty"`
	// Text is the error of a failed entry, the words of a note, the outcome of
	// an end.
	Text string `json:"text,omitempty"`
	Prev string `json:"prev"`           // the hash of the entry before; "" for the first
	Hash string `json:"hash,omitempty"` // of the line without it
}

// maxLine bounds an entry. The change of a stack set over 10,000 accounts × 34
// Regions names them all in about 9 MB.
const maxLine = 64 << 20

// hashKey is where the hash begins in a line: it is always the last field.
const hashKey = `,"hash":"`

// line is the entry as it is written, and its hash. Prev is a part of what is
// hashed, which makes the chain.
func (e Entry) line() (text []byte, hash string, err error) {
	e.Hash = ""
	body, err := json.Marshal(e)
	if err != nil {
		return nil, "", fmt.Errorf("journal: %w", err)
	}
	body = redact(body)
	if len(body) > maxLine-256 {
		return nil, "", fmt.Errorf("journal: an entry of %d MiB is larger than the %d MiB that are read back", len(body)>>20, maxLine>>20)
	}
	hash = digest(body)
	text = append(body[:len(body)-1:len(body)-1], hashKey+hash+"\"}\n"...)
	return text, hash, nil
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// parseLine reads an entry and checks its hash, on the bytes as they are: a field
// that a later version adds is covered too.
func parseLine(line []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("not an entry: %w", err)
	}
	if e.Schema != Schema {
		return e, fmt.Errorf("its schema is %q and this version reads %q", e.Schema, Schema)
	}
	at := bytes.LastIndex(line, []byte(hashKey))
	if at < 0 || len(line) != at+len(hashKey)+sha256.Size*2+len(`"}`) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return e, errors.New("it has no hash")
	}
	body := append(line[:at:at], '}')
	if got := digest(body); e.Hash != got || string(line[at+len(hashKey):len(line)-2]) != got {
		return e, errors.New("it was changed: its hash does not fit what it says")
	}
	return e, nil
}

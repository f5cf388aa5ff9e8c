package preview

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// SavedSchema names the format of a saved preview.
const SavedSchema = "orgguard.dev/scp-saved-preview/v1"

// Saved is a preview that is kept to be carried out as it is, with what it was
// judged on.
type Saved struct {
	Schema  string      `json:"schema"`
	Change  SavedChange `json:"change"`
	Basis   Basis       `json:"basis"`
	Digest  string      `json:"digest"` // of the basis, for people to compare
	Preview Preview     `json:"preview"`
}

// SavedChange is a change as it is saved: the policy as text that people can read.
type SavedChange struct {
	Kind     ChangeKind `json:"kind"`
	Name     string     `json:"name"`
	Source   string     `json:"source,omitempty"`
	File     string     `json:"file,omitempty"`
	Existing string     `json:"policy_id,omitempty"`
	Targets  []string   `json:"targets"`
}

// Save makes a preview ready to be saved.
func Save(in Input, p Preview) Saved {
	c, basis := in.Change, BasisOf(in)
	return Saved{
		Schema: SavedSchema, Basis: basis, Digest: basis.Digest(), Preview: p,
		Change: SavedChange{c.Kind, c.Name, string(c.Source), c.File, c.Existing, orEmpty(c.Targets)},
	}
}

// Plain is the change as everything else has it.
func (c SavedChange) Plain() Change {
	out := Change{Kind: c.Kind, Name: c.Name, File: c.File, Existing: c.Existing, Targets: c.Targets}
	if c.Source != "" {
		out.Source = []byte(c.Source)
	}
	return out
}

// maxSaved bounds a saved preview that is read back.
const maxSaved = 256 << 20

// ReadSaved reads a saved preview. Unknown fields are refused: what this version
// does not wholly understand is not to be carried out.
func ReadSaved(r io.Reader) (Saved, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSaved+1))
	if err != nil {
		return Saved{}, err
	}
	if len(data) > maxSaved {
		return Saved{}, fmt.Errorf("larger than %d MiB", maxSaved>>20)
	}
	var s Saved
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return Saved{}, fmt.Errorf("not a saved preview: %w", err)
	}
	switch {
	case dec.More():
		return Saved{}, errors.New("not a saved preview: something follows it")
	case s.Schema != SavedSchema:
		return Saved{}, fmt.Errorf("its schema is %q and this version reads %q", s.Schema, SavedSchema)
	case s.Digest != s.Basis.Digest():
		return Saved{}, errors.New("it was changed after it was saved: its digest does not fit its basis")
	}
	return s, nil
}

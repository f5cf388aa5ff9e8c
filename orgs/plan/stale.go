package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxSaved bounds a saved plan that is read back: 10,000 accounts × 34 Regions
// stay well below.
const maxSaved = 256 << 20

// Read reads a saved plan. Unknown fields are refused: a plan that this version
// does not wholly understand is not one to carry out.
func Read(r io.Reader) (Plan, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSaved+1))
	if err != nil {
		return Plan{}, err
	}
	if len(data) > maxSaved {
		return Plan{}, fmt.Errorf("larger than %d MiB", maxSaved>>20)
	}
	var p Plan
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("not a saved plan: %w", err)
	}
	if dec.More() {
		return Plan{}, errors.New("not a saved plan: something follows it")
	}
	if p.Schema != Schema {
		return Plan{}, fmt.Errorf("its schema is %q and this version reads %q", p.Schema, Schema)
	}
	return p, nil
}

// Stale compares the changes of a saved plan with those that would be made now
// and says what is different: a change that is not to be made any more, one that
// is new, one that has another before or after. Nothing means that carrying out
// the plan of now carries out the saved one.
func Stale(saved, now []Change) []string {
	texts := func(cs []Change) []string {
		out := make([]string, len(cs))
		for i, c := range cs {
			out[i] = canonical(c)
		}
		return out
	}
	was, is := texts(saved), texts(now)
	if slices.Equal(was, is) {
		return nil
	}
	same := func(a, b Change) bool {
		return a.Kind == b.Kind && a.Wave == b.Wave && a.Account == b.Account && a.Region == b.Region && a.Resource == b.Resource
	}
	var out []string
	for i, c := range saved {
		if slices.Contains(is, was[i]) {
			continue
		}
		if slices.ContainsFunc(now, func(n Change) bool { return same(c, n) }) {
			out = append(out, c.name()+": changed since")
		} else {
			out = append(out, c.name()+": not to be done any more")
		}
	}
	for i, c := range now {
		if !slices.Contains(was, is[i]) && !slices.ContainsFunc(saved, func(s Change) bool { return same(c, s) }) {
			out = append(out, c.name()+": not in the saved plan")
		}
	}
	if len(out) == 0 {
		out = append(out, "the changes come in another order")
	}
	return out
}

// canonical is a change as text, the same whether its before and after are still
// what they were made as or have been through a file.
func canonical(c Change) string {
	c.Effort = Effort{} // says how much is asked of AWS, and not what comes of it
	b, err := json.Marshal(c)
	var v any
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err == nil {
		b, err = json.Marshal(v) // keys sorted
	}
	if err != nil {
		return err.Error() // changes are plain data
	}
	return string(b)
}

// name is how people call the change.
func (c Change) name() string {
	return fmt.Sprintf("%s %s (%s, %s)", c.Verb, c.Resource, c.Account, c.Region)
}

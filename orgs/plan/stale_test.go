package plan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStale(t *testing.T) {
	a := Change{Kind: "repair", Verb: Start, Account: "111111111111", Region: "us-east-1", Resource: "recorder orgguard", Before: map[string]any{"recording": false}}
	b := Change{Kind: "stack", Verb: Create, Account: "222222222222", Region: "us-east-1", Resource: "stack orgguard-central"}
	other := a
	other.Before = map[string]any{"recording": false, "role": "other"}
	for name, c := range map[string]struct {
		saved, now []Change
		want       []string
	}{
		"the same plan is not stale":     {[]Change{a, b}, []Change{a, b}, nil},
		"no changes are not stale":       {nil, []Change{}, nil},
		"a change that was done is":      {[]Change{a, b}, []Change{b}, []string{"start recorder orgguard (111111111111, us-east-1): not to be done any more"}},
		"a change that is new is":        {[]Change{a}, []Change{a, b}, []string{"create stack orgguard-central (222222222222, us-east-1): not in the saved plan"}},
		"another state to start from is": {[]Change{a}, []Change{other}, []string{"start recorder orgguard (111111111111, us-east-1): changed since"}},
		"another order is":               {[]Change{a, b}, []Change{b, a}, []string{"the changes come in another order"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Stale(c.saved, c.now)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPlanIsNotStaleForHavingBeenSaved(t *testing.T) {
	type target struct {
		ID  string `json:"id"`
		ARN string `json:"arn"`
	}
	now := Plan{Schema: Schema, Changes: []Change{{Kind: "repair", Resource: "rule x", Before: []target{{"a", "arn:x"}}, After: map[string]any{"n": 3}}}}
	b, err := json.Marshal(now)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := Read(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string(nil), Stale(saved.Changes, now.Changes)); diff != "" {
		t.Error(diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"what is not JSON":    {"PLAN", "not a saved plan"},
		"an unknown field":    {`{"schema":"` + Schema + `","surprise":1}`, `unknown field "surprise"`},
		"another schema":      {`{"schema":"orgguard.dev/plan/v9"}`, "its schema is"},
		"a second document":   {`{"schema":"` + Schema + `"} {}`, "something follows it"},
		"an audit for a plan": {`{"schema":"orgguard.dev/audit/v1","findings":[]}`, "not a saved plan"},
		"nothing":             {"", "not a saved plan"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

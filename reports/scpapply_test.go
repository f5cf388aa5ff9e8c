package reports

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp/apply"
	"github.com/orgguard/orgguard/scp/preview"
)

// testApply is a run that has something of everything.
func testApply() apply.Report {
	change := plan.Change{Kind: apply.Kind, Stage: plan.Guardrail, Wave: 1, Verb: plan.Attach, Control: "scp-protect-config", Account: "100000000001", AccountName: "management", Region: "global",
		Resource: "policy x to Root", Why: "asked for", Cells: 2, Targets: []string{"111122223333/global"}, Before: "not attached", After: "attached", Undo: "aws organizations detach-policy"}
	return apply.Report{
		Schema: apply.Schema, GeneratedAt: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), ToolVersion: "test", Organization: "o-a1b2c3d4e5", Run: "20261128-120000-1a2b3c",
		Kind: preview.Attach, Policy: "x", PolicyID: "p-12345678", Outcome: apply.TakenBack, Notes: []string{"n"}, Undo: "orgguard scp apply --undo …", Next: "orgguard scp apply --resume …",
		Waves: []apply.WaveResult{{
			Number: 1, Name: "Sandbox", Accounts: 2, Status: apply.RolledBack,
			Outcomes: []plan.Outcome{{Change: change, Err: "no", Hint: "ask", Took: time.Second, Failures: []plan.Failure{{Account: "111122223333", AccountName: "a", Region: "global", Status: "FAILED", Reason: "r", Fix: "f"}}}, {Change: change, Skipped: true}},
			Checks:   []preview.Check{{ID: "verify", Status: preview.CheckError, Text: "t", Fix: "f", Source: "s", Date: "2026-11-28"}},
			Back:     []plan.Outcome{{Change: change}},
		}},
	}
}

// Whatever a run can say the published schema knows, and it admits nothing that a run
// cannot say.
func TestTheSchemaOfARunOverAPolicy(t *testing.T) {
	schema := compileSchema(t, apply.Schema)
	document := func(r apply.Report) map[string]any {
		t.Helper()
		var b bytes.Buffer
		if err := WriteApply(&b, JSON, Style{}, r); err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		return doc
	}
	for _, o := range []apply.Outcome{apply.ToDo, apply.Done, apply.NothingToDo, apply.TakenBack, apply.Broken, apply.Cut} {
		for _, s := range []apply.WaveStatus{apply.Verified, apply.RolledBack, apply.WaveFailed, apply.Interrupted, apply.NotBegun} {
			r := testApply()
			r.Outcome, r.Waves[0].Status = o, s
			if err := schema.Validate(document(r)); err != nil {
				t.Errorf("%s, %s: %v", o, s, err)
			}
		}
	}
	if err := schema.Validate(document(apply.Report{Schema: apply.Schema, Kind: preview.Detach, Policy: "x", Outcome: apply.NothingToDo})); err != nil {
		t.Errorf("a run with nothing to do: %v", err)
	}
	for what, spoil := range map[string]func(map[string]any){
		"another schema":      func(d map[string]any) { d["schema"] = "orgguard.dev/scp-apply/v2" },
		"an unknown outcome":  func(d map[string]any) { d["outcome"] = "fine" },
		"no waves":            func(d map[string]any) { delete(d, "waves") },
		"an id that is none":  func(d map[string]any) { d["run"] = "yesterday" },
		"a wave without name": func(d map[string]any) { delete(d["waves"].([]any)[0].(map[string]any), "name") },
		"a status of its own": func(d map[string]any) { d["waves"].([]any)[0].(map[string]any)["status"] = "" },
	} {
		doc := document(testApply())
		spoil(doc)
		if err := schema.Validate(doc); err == nil {
			t.Errorf("%s is valid", what)
		}
	}
	props := described(t, schema)
	for name := range document(testApply()) {
		if !props[name] {
			t.Errorf("the schema does not describe %q", name)
		}
	}
	w := reflect.TypeFor[apply.WaveResult]()
	for i := range w.NumField() {
		name, _, _ := strings.Cut(w.Field(i).Tag.Get("json"), ",")
		if src, err := JSONSchema(apply.Schema); err != nil || !bytes.Contains(src, []byte(`"`+name+`"`)) {
			t.Errorf("the schema does not describe %q of a wave: %v", name, err)
		}
	}
}

func described(t *testing.T, s *jsonschema.Schema) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for name := range s.Properties {
		out[name] = true
	}
	return out
}

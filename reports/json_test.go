package reports

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/orgguard/orgguard/orgs/doctor"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
)

func TestJSONIsWhatTheSchemasSay(t *testing.T) {
	for schema, writings := range map[string][]string{
		AuditSchema:  {"audit-drift.json", "audit-clean.json", "audit-hostile.json", "audit-empty.json", "audit-since.json"},
		plan.Schema:  {"plan.json", "plan-hostile.json", "plan-empty.json"},
		ResultSchema: {"result.json", "result-hostile.json", "result-empty.json"},
	} {
		compiled := compileSchema(t, schema)
		for _, name := range writings {
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(mustWrite(t, name, Style{})))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := compiled.Validate(doc); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestTheSchemasRefuseWhatIsWrong(t *testing.T) {
	good := string(mustWrite(t, "audit-drift.json", Style{}))
	compiled := compileSchema(t, AuditSchema)
	for name, change := range map[string][2]string{
		"unknown status":    {`"status": "drift"`, `"status": "fine"`},
		"unknown severity":  {`"severity": "high"`, `"severity": "bad"`},
		"local time":        {`"2026-03-14T09:26:53Z"`, `"2026-03-14T18:26:53+09:00"`},
		"another schema":    {AuditSchema, "orgguard.dev/audit/v9"},
		"a negative number": {`"drift": 4`, `"drift": -4`},
		"a missing member":  {`"control": "config-recorder"`, `"kontrol": "config-recorder"`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s: the document has no %s", name, change[0])
		}
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		if err != nil {
			t.Fatal(err)
		}
		if compiled.Validate(doc) == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// The schemas name every member that the Go types have, and no other.
func TestTheSchemasKnowEveryMember(t *testing.T) {
	for _, tt := range []struct {
		schema string
		path   []string
		typ    reflect.Type
		extra  []string
	}{
		{AuditSchema, nil, reflect.TypeFor[Audit](), nil},
		{AuditSchema, []string{"properties", "organization"}, reflect.TypeFor[Organization](), nil},
		{AuditSchema, []string{"properties", "summary"}, reflect.TypeFor[finding.Summary](), nil},
		{AuditSchema, []string{"$defs", "finding"}, reflect.TypeFor[finding.Finding](), nil},
		{AuditSchema, []string{"$defs", "exemption"}, reflect.TypeFor[finding.Exemption](), nil},
		{AuditSchema, []string{"$defs", "tally"}, reflect.TypeFor[Tally](), nil},
		{AuditSchema, []string{"$defs", "shard_account"}, reflect.TypeFor[ShardAccount](), nil},
		{AuditSchema, []string{"properties", "scope"}, reflect.TypeFor[Scope](), nil},
		{AuditSchema, []string{"properties", "shard"}, reflect.TypeFor[Shard](), nil},
		{AuditSchema, []string{"properties", "since"}, reflect.TypeFor[Since](), nil},
		{plan.Schema, nil, reflect.TypeFor[plan.Plan](), nil},
		{plan.Schema, []string{"$defs", "change"}, reflect.TypeFor[plan.Change](), nil},
		{plan.Schema, []string{"$defs", "skip"}, reflect.TypeFor[plan.Skip](), nil},
		{plan.Schema, []string{"$defs", "wave"}, reflect.TypeFor[plan.Wave](), nil},
		{plan.Schema, []string{"$defs", "effort"}, reflect.TypeFor[plan.Effort](), nil},
		{plan.Schema, []string{"properties", "estimate"}, reflect.TypeFor[plan.Estimate](), nil},
		{plan.Schema, []string{"properties", "blast_radius"}, reflect.TypeFor[plan.Reach](), nil},
		{plan.Schema, []string{"$defs", "loss"}, reflect.TypeFor[plan.Loss](), nil},
		{plan.Schema, []string{"$defs", "final"}, reflect.TypeFor[plan.Final](), nil},
		{ResultSchema, []string{"$defs", "effort"}, reflect.TypeFor[plan.Effort](), nil},
		{ResultSchema, []string{"$defs", "wave"}, reflect.TypeFor[plan.WaveOutcome](), nil},
		{ResultSchema, nil, reflect.TypeFor[plan.Result](), []string{"schema"}},
		{ResultSchema, []string{"$defs", "outcome"}, reflect.TypeFor[plan.Outcome](), nil},
		{ResultSchema, []string{"$defs", "failure"}, reflect.TypeFor[plan.Failure](), nil},
		{ResultSchema, []string{"$defs", "change"}, reflect.TypeFor[plan.Change](), nil},
		{doctor.Schema, nil, reflect.TypeFor[doctor.Report](), nil},
		{doctor.Schema, []string{"properties", "summary"}, reflect.TypeFor[doctor.Summary](), nil},
		{doctor.Schema, []string{"$defs", "check"}, reflect.TypeFor[doctor.Check](), nil},
	} {
		memberTest(t, tt.schema, tt.path, tt.typ, tt.extra)
	}
}

// memberTest holds a part of a schema to a Go type.
func memberTest(t *testing.T, schema string, path []string, typ reflect.Type, extra []string) {
	t.Helper()
	b, err := JSONSchema(schema)
	if err != nil {
		t.Fatal(err)
	}
	var node map[string]any
	if err := json.Unmarshal(b, &node); err != nil {
		t.Fatal(err)
	}
	for _, step := range path {
		node = node[step].(map[string]any)
	}
	always, sometimes := slices.Clone(extra), []string(nil)
	for i := range typ.NumField() {
		name, opts, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		switch {
		case name == "-":
		case strings.Contains(opts, "omit"):
			sometimes = append(sometimes, name)
		default:
			always = append(always, name)
		}
	}
	var known, required []string
	for name := range node["properties"].(map[string]any) {
		known = append(known, name)
	}
	for _, name := range node["required"].([]any) {
		required = append(required, name.(string))
	}
	if diff := cmp.Diff(unique(append(slices.Clone(always), sometimes...)), unique(known)); diff != "" {
		t.Errorf("%s %v: members (-Go +schema):\n%s", schema, path, diff)
	}
	if diff := cmp.Diff(unique(always), unique(required)); diff != "" {
		t.Errorf("%s %v: required (-Go +schema):\n%s", schema, path, diff)
	}
}

func TestJSONSchemaOfAnUnknownName(t *testing.T) {
	if _, err := JSONSchema("orgguard.dev/nothing/v1"); err == nil || !strings.Contains(err.Error(), AuditSchema) {
		t.Errorf("%v", err)
	}
}

func TestAPlanIsReadBackAsItWas(t *testing.T) {
	for name, p := range map[string]plan.Plan{"plan.json": testPlan(), "plan-hostile.json": hostilePlan()} {
		var got plan.Plan
		if err := json.Unmarshal(mustWrite(t, name, Style{}), &got); err != nil {
			t.Fatal(err)
		}
		want := normalizePlan(p)
		for i := range want.Changes { // any comes back as maps, and bytes that are no text do not come back
			want.Changes[i] = throughJSON(t, want.Changes[i])
		}
		want = throughJSON(t, want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func throughJSON[T any](t *testing.T, v T) T {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out T
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestJSONHasNoNullLists(t *testing.T) {
	for _, name := range []string{"audit-empty.json", "plan-empty.json", "result-empty.json"} {
		if b := mustWrite(t, name, Style{}); bytes.Contains(b, []byte("null")) {
			t.Errorf("%s:\n%s", name, b)
		}
	}
}

func TestJSONKeepsMarkupReadable(t *testing.T) {
	got, err := compactJSON(map[string]any{"a<b": "x & y > z"})
	if want := `{"a<b":"x & y > z"}`; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

func TestWhatIsNotJSONIsAnErrorNotHalfADocument(t *testing.T) {
	a := driftAudit()
	a.Findings[0].Actual = math.NaN()
	for _, f := range []Format{JSON, CSV, HTML, SARIF, JUnit, ASFF, OCSF} {
		var b bytes.Buffer
		if err := Write(&b, f, Style{}, a); err == nil {
			t.Errorf("%s: no error", f)
		}
		if f != CSV && b.Len() > 0 { // which is written line by line
			t.Errorf("%s: wrote %d bytes all the same", f, b.Len())
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, h := range hostile {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := compactJSON([]string{s})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range b {
			if !isVisible(r) {
				t.Fatalf("%q holds %U", b, r)
			}
		}
		var got []string
		if err := json.Unmarshal([]byte(b), &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if utf8.ValidString(s) && got[0] != s {
			t.Errorf("%q came back as %q", s, got[0])
		}
	})
}

func compileSchema(t *testing.T, schema string) *jsonschema.Schema {
	t.Helper()
	b, err := JSONSchema(schema)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs"
)

func partitionOf(id string) orgs.Partition { return orgs.PartitionOf("arn:" + id + ":") }

func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	const url = "orgguard.schema.json"
	if err := c.AddResource(url, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plain turns a node into what a schema's validator reads. Dates are strings
// to it, as they are in YAML 1.2.
func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return plain(n.Content[0])
	case yaml.AliasNode:
		return plain(n.Alias)
	case yaml.MappingNode:
		m := map[string]any{}
		for k, v := range pairs(n) {
			m[k.Value] = plain(v)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			list[i] = plain(c)
		}
		return list
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return isTrue(n)
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value)
		}
		return 0.5 // octal and the like: a number, and none that we want
	}
	return n.Value
}

func TestTheSchemaAndTheDecoderAgree(t *testing.T) {
	s := compiled(t)
	for _, sample := range append(slices.Clone(samples), sample{name: "example", text: "!" + string(Example())}) {
		if sample.unread {
			continue
		}
		t.Run(sample.name, func(t *testing.T) {
			root, problems := parse("f", sample.data())
			if problems != nil {
				t.Fatalf("not YAML; mark it unread: %v", problems)
			}
			err := s.Validate(plain(root))
			switch refused := sample.want != "" && !sample.silent; {
			case refused && err == nil:
				t.Errorf("the schema accepts what the decoder refuses: %s", sample.want)
			case !refused && err != nil:
				t.Errorf("the schema refuses: %v", err)
			}
		})
	}
}

// object is a schema as far as the tests look into it.
type object struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"`
	Additional any               `json:"additionalProperties"`
	Properties map[string]object `json:"properties"`
	Items      *object           `json:"items"`
	Desc       string            `json:"description"`
	Default    any               `json:"default"`
	Defs       map[string]object `json:"$defs"`
	Enum       []string          `json:"enum"`
}

func published(t *testing.T) object {
	t.Helper()
	var root object
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestTheSchemaHasTheKeysOfTheTypes(t *testing.T) {
	own := reflect.TypeFor[nodeDecoder]()
	var walk func(path string, typ reflect.Type, s object)
	walk = func(path string, typ reflect.Type, s object) {
		if s.Desc == "" && path != "" && !strings.HasSuffix(path, "]") {
			t.Errorf("%s has no description", path)
		}
		switch {
		case reflect.PointerTo(typ).Implements(own):
		case typ.Kind() == reflect.Slice:
			if s.Items == nil {
				t.Errorf("%s has no items", path)
				return
			}
			walk(path+"[]", typ.Elem(), *s.Items)
		case typ.Kind() == reflect.Struct:
			var keys []string
			for _, f := range fields(typ) {
				keys = append(keys, f.key)
				walk(fieldOf(path, f.key), typ.Field(f.index).Type, s.Properties[f.key])
			}
			slices.Sort(keys)
			if diff := cmp.Diff(keys, slices.Sorted(maps.Keys(s.Properties))); diff != "" {
				t.Errorf("%s: (-type +schema)\n%s", path, diff)
			}
			if s.Additional != false {
				t.Errorf("%s admits other keys", path)
			}
		}
	}
	walk("", reflect.TypeFor[Config](), published(t))
}

func TestTheSchemaHasTheDefaults(t *testing.T) {
	d, root := Default(), published(t)
	at := func(keys ...string) any {
		s := root
		for _, k := range keys {
			s = s.Properties[k]
		}
		return s.Default
	}
	for _, tt := range []struct {
		got, want any
	}{
		{at("organization", "access_role"), d.Organization.AccessRole},
		{at("alerts", "mode"), string(d.Alerts.Mode)},
		{at("scp", "protect-config", "enabled"), d.SCP.ProtectConfig.Enabled},
		{at("scp", "protect-config", "attach"), []any{d.SCP.ProtectConfig.Attach[0]}},
		{at("scp", "protect-config", "strict"), d.SCP.ProtectConfig.Strict},
		{at("rollout", "failure_tolerance"), d.Rollout.FailureTolerance},
		{at("rollout", "max_concurrent"), d.Rollout.MaxConcurrent},
		{at("notices", "language"), d.Notices.Language},
		{at("notices", "per_hour"), float64(d.Notices.PerHour)},
		{at("schedule", "every"), d.Schedule.Every},
		{at("schedule", "engine"), d.Schedule.Engine},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("(-default +schema)\n%s", diff)
		}
	}
}

func TestTheSchemaHasTheRegions(t *testing.T) {
	if diff := cmp.Diff(Known{}.regions(), published(t).Defs["region"].Enum); diff != "" {
		t.Errorf("put the Regions of package orgs into the schema: (-orgs +schema)\n%s", diff)
	}
}

func TestTheSchemaHasThePatterns(t *testing.T) {
	var root any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	inSchema := map[string]bool{}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if p, ok := v["pattern"].(string); ok {
				inSchema[p] = true
			}
			for _, c := range v {
				walk(c)
			}
		case []any:
			for _, c := range v {
				walk(c)
			}
		}
	}
	walk(root)
	want := []string{
		accountPattern, accountRefPattern, filledPattern, emailPattern, rolePattern, rolesPattern, exactPattern, specificPattern,
		externalIDPattern, actionPattern, workspacePattern, channelPattern, guidPattern, teamsChannelPattern, tolerancePattern, durationPattern, concurrentPattern, aggregatorPattern, bucketPattern, prefixPattern, datePattern.String(),
		topicPattern, busPattern, webhookPattern, httpsPattern, loopbackPattern, sourcePattern,
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(inSchema))); diff != "" {
		t.Errorf("(-code +schema)\n%s", diff)
	}
	for _, limit := range []int{maxEmail, maxExternalID, maxURL, maxTemplate} {
		if !bytes.Contains(Schema(), fmt.Appendf(nil, `"maxLength": %d`, limit)) {
			t.Errorf("the schema lacks the length %d", limit)
		}
	}
}

// FuzzParse: no bytes make the decoder panic, its problems are printable lines
// that lie in the file, and what it accepts the schema accepts.
func FuzzParse(f *testing.F) {
	for _, s := range samples {
		f.Add(s.data())
	}
	f.Add(Example())
	schema := compiled(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data, known)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 || c != nil {
				t.Fatalf("got %v, %T %v", c, err, err)
			}
			lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) +
				bytes.Count(data, []byte("\u0085")) + bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029")) + 1
			for _, p := range problems {
				if p.Message == "" || strings.ContainsFunc(p.Message, func(r rune) bool { return isControl(r) || r == '\n' }) || p.Line > lines {
					t.Fatalf("line %d of %d: %q", p.Line, lines, p.Message)
				}
			}
			return
		}
		root, problems := parse("f", data)
		if problems != nil {
			t.Fatal(problems)
		}
		if err := schema.Validate(plain(root)); err != nil {
			t.Fatalf("the schema refuses what the decoder accepts: %v", err)
		}
		for id, control := range c.Baseline {
			if settings := known.Settings(id); settings != nil && control.Decode(settings) != nil {
				t.Fatalf("%s decodes with problems the second time", id)
			}
		}
	})
}

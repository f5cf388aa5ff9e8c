package scp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The tests of this file change a policy or a request in a way that must not
// change the answer.

func loadChecked(t *testing.T) []Case {
	t.Helper()
	cases, err := LoadCases("testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// rewrite parses every policy of a path anew from changed JSON.
func rewrite(t *testing.T, org Org, change func(map[string]any)) Org {
	t.Helper()
	out := org
	out.Path = slices.Clone(org.Path)
	for i := range out.Path {
		out.Path[i].Policies = slices.Clone(out.Path[i].Policies)
		for j, p := range out.Path[i].Policies {
			var doc map[string]any
			if err := json.Unmarshal(p.Document.Minified(), &doc); err != nil {
				t.Fatal(err)
			}
			if one, ok := doc["Statement"].(map[string]any); ok {
				doc["Statement"] = []any{one}
			}
			change(doc)
			out.Path[i].Policies[j].Document = mustParse(t, string(shuffled(doc)))
		}
	}
	return out
}

// shuffled writes JSON with the keys of every object in random order, which is
// the order of Go's maps.
func shuffled(v any) []byte {
	var b bytes.Buffer
	switch v := v.(type) {
	case map[string]any:
		b.WriteByte('{')
		first := true
		for k, e := range v {
			if !first {
				b.WriteString(" ,\n")
			}
			first = false
			key, _ := json.Marshal(k)
			b.Write(key)
			b.WriteString(" : ")
			b.Write(shuffled(e))
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(shuffled(e))
		}
		b.WriteByte(']')
	default:
		out, _ := json.Marshal(v)
		b.Write(out)
	}
	return b.Bytes()
}

func eachStatement(doc map[string]any, f func(map[string]any)) {
	for _, s := range doc["Statement"].([]any) {
		f(s.(map[string]any))
	}
}

func mixCase(rng *rand.Rand, s string) string {
	b := []byte(s)
	for i := range b {
		if rng.IntN(2) == 0 {
			b[i] = strings.ToUpper(string(b[i]))[0]
		} else {
			b[i] = lowerByte(b[i])
		}
	}
	return string(b)
}

func TestMetamorphic(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	asList := func(v any) []any {
		if l, ok := v.([]any); ok {
			return l
		}
		return []any{v}
	}
	changes := map[string]func(doc map[string]any){
		"keys in another order": func(map[string]any) {},
		"letter case of actions": func(doc map[string]any) {
			eachStatement(doc, func(s map[string]any) {
				for _, e := range []string{"Action", "NotAction"} {
					if s[e] != nil {
						var list []any
						for _, a := range asList(s[e]) {
							list = append(list, mixCase(rng, a.(string)))
						}
						s[e] = list
					}
				}
			})
		},
		"letter case of condition keys and operators": func(doc map[string]any) {
			eachStatement(doc, func(s map[string]any) {
				if s["Condition"] == nil {
					return
				}
				changed := map[string]any{}
				for op, keys := range s["Condition"].(map[string]any) {
					inner := map[string]any{}
					for k, v := range keys.(map[string]any) {
						inner[mixCase(rng, k)] = v
					}
					changed[mixCase(rng, op)] = inner
				}
				s["Condition"] = changed
			})
		},
		"lists in another order, with repeats": func(doc map[string]any) {
			eachStatement(doc, func(s map[string]any) {
				for _, e := range []string{"Action", "NotAction", "Resource", "NotResource"} {
					if s[e] != nil {
						list := slices.Clone(asList(s[e]))
						list = append(list, list[0])
						rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
						s[e] = list
					}
				}
			})
		},
	}
	// These move statements, so only the decision is compared.
	moving := map[string]func(doc map[string]any){
		"split by action and resource": func(doc map[string]any) {
			var out []any
			eachStatement(doc, func(s map[string]any) {
				if s["Action"] == nil || s["Resource"] == nil {
					out = append(out, s)
					return
				}
				for _, a := range asList(s["Action"]) {
					for _, r := range asList(s["Resource"]) {
						one := maps.Clone(s)
						one["Action"], one["Resource"] = a, r
						out = append(out, one)
					}
				}
			})
			doc["Statement"] = out
		},
		"irrelevant statements": func(doc map[string]any) {
			var out []any
			eachStatement(doc, func(s map[string]any) {
				out = append(out, map[string]any{"Effect": "Deny", "Action": "nosuchservice:*", "Resource": "*"}, s,
					map[string]any{"Effect": "Allow", "Action": "nosuchservice:*", "Resource": "*"},
					map[string]any{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": map[string]any{"Bool": map[string]any{"x:none": "true"}}})
			})
			doc["Statement"] = out
		},
		"statements in reverse": func(doc map[string]any) { slices.Reverse(doc["Statement"].([]any)) },
		"every statement twice": func(doc map[string]any) {
			l := doc["Statement"].([]any)
			doc["Statement"] = append(slices.Clone(l), l...)
		},
	}
	for _, c := range loadChecked(t) {
		want := mustCompile(t, c.Org).Evaluate(&c.Request)
		for name, change := range changes {
			if got := mustCompile(t, rewrite(t, c.Org, change)).Evaluate(&c.Request); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s: got %+v, want %+v", c.ID, name, got, want)
			}
		}
		for name, change := range moving {
			got := mustCompile(t, rewrite(t, c.Org, change)).Evaluate(&c.Request)
			if got.Decision != want.Decision || got.Kind != want.Kind || !slices.Equal(got.LevelsWithoutAllow, want.LevelsWithoutAllow) {
				t.Errorf("%s: %s: got %+v, want %+v", c.ID, name, got, want)
			}
		}
		r := c.Request
		r.Action = mixCase(rng, r.Action)
		r.Context = map[string][]string{}
		for k, v := range c.Request.Context {
			r.Context[mixCase(rng, k)] = v
		}
		if got := mustCompile(t, c.Org).Evaluate(&r); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: letter case of the request: got %+v, want %+v", c.ID, got, want)
		}
	}
}

// TestHidingKeysOnlyMakesUnknown checks on the cases that forgetting a key
// never turns one firm answer into another.
func TestHidingKeysOnlyMakesUnknown(t *testing.T) {
	unknown := 0
	for _, c := range loadChecked(t) {
		e := mustCompile(t, c.Org)
		want := e.Decide(&c.Request)
		for hidden := range c.Request.Context {
			r := c.Request
			r.Context = maps.Clone(c.Request.Context)
			delete(r.Context, hidden)
			r.Unknown = func(k string) bool { return strings.EqualFold(k, hidden) }
			got := e.Evaluate(&r)
			if got.Decision == DecisionUnknown {
				unknown++
				if len(got.DependsOn) == 0 || !strings.EqualFold(got.DependsOn[0].Key, hidden) {
					t.Errorf("%s: depends on %+v, hidden is %s", c.ID, got.DependsOn, hidden)
				}
			} else if got.Decision != want {
				t.Errorf("%s without %s: %s, with it %s", c.ID, hidden, got.Decision, want)
			}
		}
	}
	if unknown < 50 {
		t.Errorf("only %d answers became unknown", unknown)
	}
}

func TestConcurrentUse(t *testing.T) {
	cases := loadChecked(t)
	evaluators := make([]*Evaluator, len(cases))
	want := make([]Result, len(cases))
	for i := range cases {
		evaluators[i] = mustCompile(t, cases[i].Org)
		want[i] = evaluators[i].Evaluate(&cases[i].Request)
	}
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for g := range 8 {
		wg.Go(func() {
			for n := range cases {
				i := (n + g*37) % len(cases)
				got := evaluators[i].Evaluate(&cases[i].Request)
				open := cases[i].Request
				open.Context, open.Unknown = nil, func(string) bool { return true }
				firm := evaluators[i].Decide(&open)
				if !reflect.DeepEqual(got, want[i]) || firm != DecisionUnknown && firm != got.Decision {
					errs <- fmt.Errorf("%s: got %+v and %s", cases[i].ID, got, firm)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

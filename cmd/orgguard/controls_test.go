package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs/spec"
)

// What is said of the policy is true: its example is a configuration, and every setting
// that there is stands there with its default.
func TestTheSCPIsExplained(t *testing.T) {
	e := explainedSCP()
	if _, err := spec.Parse("test.yaml", []byte("version: 1\n"+e.Example+"\n"), baseline.Known()); err != nil {
		t.Error(err)
	}
	cfg, err := spec.Parse("test.yaml", []byte("version: 1\n"), baseline.Known())
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(cfg.SCP.ProtectConfig)
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		if key == "enabled" {
			continue
		}
		at := slices.IndexFunc(e.Settings, func(s baseline.Setting) bool { return s.Key == key })
		if at < 0 {
			t.Errorf("setting %s is not explained", key)
			continue
		}
		want := "true"
		if list, ok := v.Field(i).Interface().([]string); ok {
			want = "[" + strings.Join(list, ", ") + "]"
		}
		if e.Settings[at].Default != want || e.Settings[at].Doc == "" {
			t.Errorf("%s: %+v, want the default %s", key, e.Settings[at], want)
		}
	}
}

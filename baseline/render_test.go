package baseline

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
)

// rendered is where `make combinations` has every template written.
var rendered = flag.String("rendered", "", "write every template that TestEveryCombinationRenders meets into this directory")

var update = flag.Bool("update", false, "write the golden files anew")

// smallOrg is enough of an organization to render templates for.
func smallOrg(partition string) *orgs.Organization {
	p := orgs.PartitionOf("arn:" + partition + ":")
	return orgs.New("o-small00000", management, p,
		[]orgs.OU{{ID: "r-small", Name: "Root"}, {ID: "ou-small-sec00000", Name: "Security", Parent: "r-small"}},
		[]orgs.Account{
			{ID: management, Name: "management", State: orgs.StateActive, Parent: "r-small"},
			{ID: securityAccount, Name: "security", State: orgs.StateActive, Parent: "ou-small-sec00000"},
		})
}

func resolveSmall(t *testing.T, partition, config string) (*Baseline, error) {
	t.Helper()
	org := smallOrg(partition)
	return Resolve(parseConfig(t, "version: 1\nsecurity_account: \"200000000001\"\n"+config), org, org.Partition.GlobalRegion)
}

// TestRenderedTemplates compares what a rollout deploys with files that people
// read when they change a template.
func TestRenderedTemplates(t *testing.T) {
	seen := map[string]bool{}
	defaults := map[string]string{} // of central alerts, by name
	for _, c := range []struct{ name, alerts, rest string }{
		{"central", "mode: central", ""},
		{"local", "mode: local", ""},
		// What is off by default, and not the templates that it leaves as they are.
		{"more", "mode: central, slack: {workspace_id: T0123ABCD, channel_id: C0456EFGH}", "baseline: {admin-roles: {trusted_roles: [\"arn:aws:iam::200000000001:role/Platform*\"]}, " +
			"detective-guardrails: true, cloudtrail: true, unauthorized-alert: true, network-change-alert: true, iam-policy-alert: true}\n"},
	} {
		b, err := resolveSmall(t, "aws", "regions: [eu-west-1, us-east-1]\nhome_region: eu-west-1\nalerts: {"+c.alerts+", email: [one@example.com, two@example.com]}\n"+c.rest)
		if err != nil {
			t.Fatal(err)
		}
		for _, tmpl := range b.Templates() {
			if c.name == "central" {
				defaults[tmpl.Name] = tmpl.Body
			}
			if c.name == "more" && defaults[tmpl.Name] == tmpl.Body {
				continue
			}
			t.Run(c.name+" "+tmpl.Name, func(t *testing.T) {
				var head strings.Builder
				fmt.Fprintf(&head, "# controls: %s\n", strings.Join(tmpl.Controls, ", "))
				for _, k := range sortedKeys(tmpl.Parameters) {
					fmt.Fprintf(&head, "# %s: %s\n", k, tmpl.Parameters[k])
				}
				file := filepath.Join("testdata", "golden", c.name+"."+tmpl.Name+".yaml")
				seen[file] = true
				golden(t, file, head.String()+tmpl.Body)
			})
		}
	}
	files, err := filepath.Glob("testdata/golden/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[f] {
			t.Errorf("%s belongs to no template", f)
		}
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; write it with go test -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// choices are sets of controls that are on: none, all, each alone, all but each,
// and some that nobody chose. There are too many controls for all sets.
func choices() []map[string]bool {
	var out []map[string]bool
	add := func(on func(i int) bool) {
		m := map[string]bool{}
		for i, c := range controls {
			m[c.ID] = on(i)
		}
		out = append(out, m)
	}
	add(func(int) bool { return false })
	add(func(int) bool { return true })
	for k := range controls {
		add(func(i int) bool { return i == k })
		add(func(i int) bool { return i != k })
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 32 {
		add(func(int) bool { return random.IntN(2) == 0 })
	}
	return out
}

// Whatever is turned on and set, every template can be evaluated everywhere and
// is small enough to be sent to CloudFormation.
func TestEveryCombinationRenders(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing in it runs side by side")
	}
	const maxTemplate = 51_200 // bytes of a TemplateBody
	n := 0
	written := map[string]bool{}
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		for _, mode := range []spec.AlertMode{spec.Central, spec.Local} {
			for _, on := range choices() {
				var lines strings.Builder
				for _, c := range controls {
					fmt.Fprintf(&lines, "  %s: %v\n", c.ID, on[c.ID])
				}
				var lacking []string
				for _, c := range controls {
					for _, need := range c.needs {
						if on[c.ID] && !on[need] {
							lacking = append(lacking, c.ID+" needs "+need)
						}
					}
				}
				b, err := resolveSmall(t, partition, fmt.Sprintf("alerts: {mode: %s, email: [%s]%s}\nbaseline:\n%s", mode, addresses(20), channels(mode, partition), lines.String()))
				for _, l := range lacking {
					if err == nil || !strings.Contains(err.Error(), l) {
						t.Errorf("%s, %s, %v: error %v; want %q", partition, mode, on, err, l)
					}
				}
				if len(lacking) > 0 {
					continue
				}
				if err != nil {
					t.Errorf("%s, %s, %v: %v", partition, mode, on, err)
					continue
				}
				for c, err := range b.cells(resolved{}) {
					if err != nil {
						t.Errorf("%s, %s, %v: %v", partition, mode, on, err)
					}
					n += len(c.parts)
				}
				templates := b.Templates()
				if tamper, whyNot, err := b.TamperTemplate(JobName); err != nil {
					t.Errorf("%s, %s, %v: %v", partition, mode, on, err)
				} else if whyNot == "" { // the scheduled audit's
					templates = append(templates, tamper)
				}
				for _, tmpl := range templates {
					if len(tmpl.Body) >= maxTemplate {
						t.Errorf("%s has %d bytes", tmpl.Name, len(tmpl.Body))
					}
					if *rendered != "" && !written[tmpl.Body] {
						written[tmpl.Body] = true
						file := filepath.Join(*rendered, fmt.Sprintf("%s.%d.yaml", tmpl.Name, len(written)))
						if err := os.WriteFile(file, []byte(tmpl.Body), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					again, err := parseTemplate(tmpl.Name, []byte(tmpl.Body))
					if err != nil {
						t.Errorf("%s does not read back: %v", tmpl.Name, err)
					} else if again.body() != tmpl.Body {
						t.Errorf("%s reads back as something else", tmpl.Name)
					}
				}
			}
		}
	}
	if n < 500 {
		t.Errorf("only %d resources were evaluated", n)
	}
}

func TestSettingsBecomeParameters(t *testing.T) {
	cases := []struct {
		name, config string
		want         map[string]string // some of the recorder unit's
	}{
		{"nothing is set", "", map[string]string{"RecordingFrequency": "CONTINUOUS", "GlobalTypesRegion": "us-east-1", "SnapshotFrequency": "TwentyFour_Hours", "LogBucketName": "orgguard-config-200000000001-us-east-1"}},
		{"daily", "baseline: {config-recorder: {recording: daily}}\n", map[string]string{"RecordingFrequency": "DAILY", "GlobalTypesRegion": "us-east-1"}},
		{"IAM types elsewhere", "regions: [eu-west-1, us-east-1]\nbaseline: {config-recorder: {global_types_region: eu-west-1}}\n", map[string]string{"GlobalTypesRegion": "eu-west-1"}},
		{"another home", "regions: [eu-west-1]\n", map[string]string{"GlobalTypesRegion": "eu-west-1", "LogBucketName": "orgguard-config-200000000001-eu-west-1"}},
		{"a bucket of one's own", "baseline: {config-delivery: {bucket: our-logs, snapshot: Six_Hours}}\n", map[string]string{"LogBucketName": "our-logs", "SnapshotFrequency": "Six_Hours"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, err := resolveSmall(t, "aws", c.config)
			if err != nil {
				t.Fatal(err)
			}
			all := b.Templates()
			got := all[slices.IndexFunc(all, func(x Template) bool { return x.Name == "orgguard-recorder" })].Parameters
			for k, v := range c.want {
				if got[k] != v {
					t.Errorf("%s is %q; want %q", k, got[k], v)
				}
			}
		})
	}
}

func TestResolveReportsWhatDoesNotFit(t *testing.T) {
	cases := []struct {
		name, config string
		want         []string // in the error, all of them
	}{
		{"an unknown security account and an unknown excluded OU", "security_account: \"999999999999\"\norganization: {exclude: [{ou: Nowhere, reason: x}]}\n", []string{`security_account: no account "999999999999"`, `no OU "Nowhere"`}},
		{"a Region of another partition", "security_account: \"200000000001\"\nregions: [cn-north-1]\n", []string{"cn-north-1 is not in the organization's partition aws"}},
		{"the security account is excluded", "security_account: \"200000000001\"\norganization: {exclude: [{account: \"200000000001\", reason: closed}]}\n", []string{"the security account 200000000001 is excluded (closed)"}},
		{"a control without what it needs", "baseline: {alert-topic: false, config-change-alert: true, root-signin-alert: true}\n", []string{"config-change-alert needs alert-topic", "root-signin-alert needs alert-topic"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Resolve(parseConfig(t, "version: 1\n"+c.config), smallOrg("aws"), "us-east-1")
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v; want %q", err, want)
				}
			}
		})
	}
}

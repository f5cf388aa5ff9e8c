package orgs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
)

func TestNearestNames(t *testing.T) {
	for _, tc := range []struct {
		name       string
		want       string
		candidates []string
		near       []string
	}{
		{"a typo", "Workload", []string{"Root/Sandbox", "Root/Workloads", "Root/Security"}, []string{"Root/Workloads"}},
		{"another case", "sandbox", []string{"Root/Sandbox", "Root/Workloads"}, []string{"Root/Sandbox"}},
		{"the last part of a path decides", "Workloads/Prd", []string{"Root/Workloads", "Root/Workloads/Prod"}, []string{"Root/Workloads/Prod"}},
		{"of equal last parts the liker path comes first", "Workload/Prod", []string{"Root/Sandbox/Prod", "Root/Workloads/Prod"}, []string{"Root/Workloads/Prod", "Root/Sandbox/Prod"}},
		{"part of a name", "shop", []string{"my-shop-production", "pay-production"}, []string{"my-shop-production"}},
		{"the same but for case is before names that hold it", "prod", []string{"A-Prod", "B-Prod", "C-Prod", "Prod"}, []string{"Prod", "A-Prod", "B-Prod"}},
		{"the same but for case is first however deep it lies", "prod", []string{"Root/AProd", "Root/Some/Place/Very/Far/Down/Prod"}, []string{"Root/Some/Place/Very/Far/Down/Prod", "Root/AProd"}},
		{"three at most", "ab", []string{"ab1", "ab2", "ab3", "ab4"}, []string{"ab1", "ab2", "ab3"}},
		{"each once", "prod", []string{"Prod", "Prod"}, []string{"Prod"}},
		{"nothing like it", "zzzzzzzz", []string{"Prod", "Sandbox"}, []string{}},
		{"nothing to choose from", "Prod", nil, []string{}},
		{"no name", "", []string{"Sandbox"}, []string{}},
		{"only a slash", "/", []string{"Sandbox"}, []string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.near, orgs.Nearest(tc.want, tc.candidates)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

package baseline

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/sim"
)

var (
	painRow  = regexp.MustCompile(`(?m)^//\t *(\d+)  \S.*?  ((?:Test\w+(?:, )?)+|not yet: .*)$`)
	testName = regexp.MustCompile(`Test\w+`)
	testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// The table of doc.go names all the pains, and only tests that there are.
func TestTheTableOfPainsNamesTestsThatExist(t *testing.T) {
	tests := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllStringSubmatch(string(b), -1) {
			tests[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, m := range painRow.FindAllStringSubmatch(string(doc), -1) {
		got = append(got, m[1])
		for _, name := range testName.FindAllString(m[2], -1) {
			if !tests[name] {
				t.Errorf("pain %s names %s, which there is not", m[1], name)
			}
		}
	}
	for n := range 25 {
		want = append(want, fmt.Sprint(n+1))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pains (-want +got):\n%s", diff)
	}
}

// A stack set that takes one operation at a time refuses the next one while it is
// at work; a rollout waits for it.
func TestAnOperationThatRunsIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig)
		r.mustRollout(t)
		r.updateRecorders(t, false)
		r.w.SetTiming(sim.Timing{StackInstance: time.Minute})
		r.updateRecorders(t, false) // somebody else's, under way for minutes
		r.cfg = parseConfig(t, everyoneConfig+"baseline: {config-delivery: {snapshot: One_Hour}}\n")
		began := time.Now()
		r.mustRollout(t)
		if time.Since(began) < time.Minute {
			t.Error("nothing was waited for")
		}
		r.w.SetTiming(sim.Timing{})
		if p := r.plan(t); len(p.Tasks) > 0 {
			t.Errorf("there is still to be done: %+v", p.Tasks)
		}
	})
}

// updateRecorders is somebody updating the whole stack set of the recorders.
func (r *rig) updateRecorders(t *testing.T, managed bool) {
	t.Helper()
	if _, err := cloudformation.NewFromConfig(r.w.ManagementConfig(tokyo)).UpdateStackSet(t.Context(), &cloudformation.UpdateStackSetInput{
		StackSetName: aws.String("orgguard-recorder"), UsePreviousTemplate: aws.Bool(true), Capabilities: capabilities,
		Parameters:       r.open(t).units[unitIndex(t, r, "recorder")].parameterList(),
		ManagedExecution: &types.ManagedExecution{Active: aws.Bool(managed)},
	}); err != nil {
		t.Fatal(err)
	}
}

func unitIndex(t *testing.T, r *rig, id string) int {
	t.Helper()
	for i, u := range r.open(t).units {
		if u.ID == id {
			return i
		}
	}
	t.Fatal("no unit " + id)
	return 0
}

// A deletion that failed leaves an instance INOPERABLE: no update touches it any
// more.
func TestInoperableInstancesAreMadeAnew(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := forbid(handful(t), "Workloads/Prod")
		s.Policies[len(s.Policies)-1].Content = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["events:DeleteRule","events:RemoveTargets"],"Resource":"*"}]}`
		r := newRig(t, s, everyoneConfig)
		r.mustRollout(t)
		before := r.inventory(t)
		b := r.open(t)
		c := b.cloud(b.pool)
		if _, err := c.removeAll(t.Context(), b.Baseline, "orgguard-alerts", reach{shopProd: {tokyo}}, deleteStacks); err == nil {
			t.Fatal("the deletion did not fail")
		}
		set, err := c.load(t.Context(), "orgguard-alerts", nil)
		if err != nil || set.Instances[instanceKey(shopProd, tokyo)].Status != inoperable {
			t.Fatalf("%+v, %v", set.Instances, err)
		}
		detachAll(t, r, "nobody-touches-config")
		p := r.plan(t)
		if len(p.Tasks) != 1 || !strings.Contains(p.Tasks[0].Why, "1 instances are INOPERABLE") {
			t.Fatalf("the plan: %+v", p.Tasks)
		}
		r.mustRollout(t)
		r.mustBeClean(t)
		if diff := cmp.Diff(before, r.inventory(t)); diff != "" {
			t.Errorf("before and after (-want +got):\n%s", diff)
		}
	})
}

// An account that moves to another OU of the stack sets' targets keeps its stacks.
func TestAnAccountThatMovedOUKeepsItsStacks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig+"rollout: {waves: [[Sandbox], [root]]}\n")
		r.mustRollout(t)
		before := r.inventory(t)
		r.move(t, shopProd, "Sandbox")
		if diff := cmp.Diff(before, r.inventory(t)); diff != "" {
			t.Errorf("before and after the move (-want +got):\n%s", diff)
		}
		if p := r.plan(t); len(p.Tasks) > 0 {
			t.Errorf("the move makes work: %+v", p.Tasks)
		}
		r.mustBeClean(t)
	})
}

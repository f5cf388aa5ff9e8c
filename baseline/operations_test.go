package baseline

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"github.com/orgguard/orgguard/orgs/sim"
)

// With managed execution an operation is QUEUED before it runs: it has not failed, and
// it is not over.
func TestAQueuedOperationIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig)
		r.w.SetTiming(sim.Timing{Queue: 10 * time.Minute})
		began := time.Now()
		r.mustRollout(t)
		if time.Since(began) < 10*time.Minute {
			t.Error("nothing was waited for")
		}
		r.mustBeClean(t)
	})
}

// CloudFormation skips the instances of an account that is closed meanwhile
// (SKIPPED_SUSPENDED_ACCOUNT): nothing has failed, nothing is tried again, and nobody
// takes the account for one in sync.
func TestInstancesOfAClosedAccountAreSkipped(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig)
		r.mustRollout(t)
		if _, err := organizations.NewFromConfig(r.w.ManagementConfig(virginia)).CloseAccount(t.Context(), &organizations.CloseAccountInput{AccountId: aws.String(shopProd)}); err != nil {
			t.Fatal(err)
		}
		// A rollout does not ask for it; a person who updates the whole set does.
		r.cfg = parseConfig(t, everyoneConfig+"baseline: {config-delivery: {snapshot: One_Hour}}\n")
		r.mustRollout(t)
		r.updateRecorders(t, true)
		time.Sleep(time.Hour)
		b := r.open(t)
		set, err := b.cloud(b.pool).load(t.Context(), "orgguard-recorder", nil)
		if err != nil {
			t.Fatal(err)
		}
		if inst := set.Instances[instanceKey(shopProd, tokyo)]; inst.Detailed != "SKIPPED_SUSPENDED_ACCOUNT" {
			t.Errorf("the closed account's instance: %+v", inst)
		}
		if p := r.plan(t); len(p.Tasks) > 0 {
			t.Errorf("it is tried again and again: %+v", p.Tasks)
		}
		looked := false
		for _, f := range r.audit(t, Filter{}) {
			if f.Account != shopProd {
				continue
			}
			looked = true
			if f.Status != "not_applicable" {
				t.Errorf("a closed account is %s: %s", f.Status, f.Reason)
			}
		}
		if !looked {
			t.Error("the report does not name the closed account")
		}
	})
}

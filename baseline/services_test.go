package baseline

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

// services is what is set of the organization's services.
func (r *rig) services(t *testing.T) []string {
	t.Helper()
	ctx := t.Context()
	var out []string
	o := organizations.NewFromConfig(r.w.ManagementConfig(virginia))
	admins, err := o.ListDelegatedAdministrators(ctx, &organizations.ListDelegatedAdministratorsInput{})
	noError(t, err)
	for _, a := range admins.DelegatedAdministrators {
		services, err := o.ListDelegatedServicesForAccount(ctx, &organizations.ListDelegatedServicesForAccountInput{AccountId: a.Id})
		noError(t, err)
		for _, s := range services.DelegatedServices {
			out = append(out, "delegated "+aws.ToString(a.Id)+" "+aws.ToString(s.ServicePrincipal))
		}
	}
	tags, err := o.ListTagsForResource(ctx, &organizations.ListTagsForResourceInput{ResourceId: aws.String(securityAccount)})
	noError(t, err)
	for _, tag := range tags.Tags {
		out = append(out, "tag "+aws.ToString(tag.Key))
	}
	for _, region := range []string{tokyo, virginia} {
		for _, account := range []string{management, securityAccount, shopProd} {
			list, err := guardduty.NewFromConfig(r.member(account, region)).ListDetectors(ctx, &guardduty.ListDetectorsInput{})
			noError(t, err)
			for range list.DetectorIds {
				out = append(out, "detector "+account+" "+region)
			}
			for _, name := range r.analyzerNames(t, account, region) {
				out = append(out, "analyzer "+account+" "+region+" "+name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// A rollout of the organization's services that is killed at any write and repeated
// ends where an undisturbed one ends, and so does a teardown.
func TestServicesThatAreSetOrTakenBackByOneWhoIsKilled(t *testing.T) {
	var on, off []string
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), onlyServices())
		r.mustRollout(t)
		on = r.services(t)
		b := r.open(t)
		mustDo(t, b.Teardown(t.Context(), b.pool, KeepHistory, 1).Tasks)
		off = r.services(t)
	})
	if len(on) < 10 || len(off) >= len(on) {
		t.Fatalf("on %v, off %v", on, off)
	}
	crashes := 0
	for n := 1; n > 0 && !t.Failed(); crashes++ {
		inBubble(t, func(t *testing.T) {
			r := newRig(t, handful(t), onlyServices())
			after := n
			if n = r.crashAt(t, n); n == 0 {
				return
			}
			n += everyCrash() - 1
			r.mustRollout(t)
			r.mustBeQuiet(t)
			if diff := cmp.Diff(on, r.services(t)); diff != "" {
				t.Errorf("killed after write %d: undisturbed and this (-want +got):\n%s", after, diff)
			}
			b := r.open(t)
			mustDo(t, b.Teardown(t.Context(), b.pool, KeepHistory, 1).Tasks)
			if diff := cmp.Diff(off, r.services(t)); diff != "" {
				t.Errorf("killed after write %d, after the teardown (-want +got):\n%s", after, diff)
			}
		})
	}
	for n := 1; n > 0 && !t.Failed(); crashes++ {
		inBubble(t, func(t *testing.T) {
			r := newRig(t, handful(t), onlyServices())
			r.mustRollout(t)
			base, at := r.w.Writes(), n
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg, kill := r.mortal(cancel)
			crashed := false
			r.w.SetFaults(sim.Faults{CrashAtWrite: base + n, Crash: func() { crashed = true; kill() }})
			b, err := r.tryOpen(ctx, cfg)
			noError(t, err)
			plan.Execute(ctx, b.Teardown(ctx, b.pool, KeepHistory, 1).Tasks, 1, nil)
			r.w.SetFaults(sim.Faults{})
			if n = r.w.Writes() - base + everyCrash(); !crashed {
				n = 0
				return
			}
			b = r.open(t)
			mustDo(t, b.Teardown(t.Context(), b.pool, KeepHistory, 1).Tasks)
			if diff := cmp.Diff(off, r.services(t)); diff != "" {
				t.Errorf("teardown killed at write %d: undisturbed and this (-want +got):\n%s", at, diff)
			}
		})
	}
	if crashes*everyCrash() < 15 {
		t.Errorf("only %d writes to crash at", crashes)
	}
}

package baseline

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

// ofServices are the tasks that set the organization's services, without the recorders
// that they need and the settings of each account: those are killed elsewhere.
func ofServices(tasks []plan.Task) []plan.Task {
	return slices.DeleteFunc(slices.Clone(tasks), func(t plan.Task) bool { return t.Kind != settingChange })
}

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
			hub := securityhub.NewFromConfig(r.member(account, region))
			standards, err := hub.GetEnabledStandards(ctx, &securityhub.GetEnabledStandardsInput{})
			if err == nil {
				out = append(out, "hub "+account+" "+region)
				for _, s := range standards.StandardsSubscriptions {
					out = append(out, "standard "+account+" "+aws.ToString(s.StandardsArn)+" "+string(s.StandardsStatus))
				}
				if list, err := hub.ListFindingAggregators(ctx, &securityhub.ListFindingAggregatorsInput{}); err == nil && len(list.FindingAggregators) > 0 {
					out = append(out, "aggregator "+account+" seen from "+region)
				}
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
	rollOut := func(ctx context.Context, b *run) []plan.Task {
		p, err := b.propose(ctx)
		if err != nil {
			t.Error(err)
		}
		return ofServices(p.Tasks)
	}
	takeBack := func(ctx context.Context, b *run) []plan.Task { return b.Teardown(ctx, b.pool, KeepHistory, 1).Tasks }
	done := func(t *testing.T, r *rig, what func(context.Context, *run) []plan.Task) []string {
		mustDo(t, what(t.Context(), r.open(t)))
		return r.services(t)
	}
	var on, off []string
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), onlyServices())
		on = done(t, r, rollOut)
		off = done(t, r, takeBack)
	})
	if len(on) < 10 || len(off) >= len(on) {
		t.Fatalf("on %v, off %v", on, off)
	}
	for _, c := range []struct {
		name   string
		before bool // the services are set when it begins
		what   func(context.Context, *run) []plan.Task
		want   []string
	}{{"rollout", false, rollOut, on}, {"teardown", true, takeBack, off}} {
		crashes := 0
		for n := 1; n > 0 && !t.Failed(); crashes++ {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, handful(t), onlyServices())
				if c.before {
					done(t, r, rollOut)
				}
				base, at := r.w.Writes(), n
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				cfg, kill := r.mortal(cancel)
				crashed := false
				r.w.SetFaults(sim.Faults{CrashAtWrite: base + n, Crash: func() { crashed = true; kill() }})
				b, err := r.tryOpen(ctx, cfg)
				noError(t, err)
				plan.Execute(ctx, c.what(ctx, b), 1, nil)
				r.w.SetFaults(sim.Faults{})
				if n = r.w.Writes() - base + everyCrash(); !crashed {
					n = 0
					return
				}
				if diff := cmp.Diff(c.want, done(t, r, c.what)); diff != "" {
					t.Errorf("%s killed at write %d: undisturbed and this (-want +got):\n%s", c.name, at, diff)
				}
				if c.before {
					return
				}
				if diff := cmp.Diff(off, done(t, r, takeBack)); diff != "" {
					t.Errorf("%s killed at write %d, after a teardown (-want +got):\n%s", c.name, at, diff)
				}
			})
		}
		if crashes*everyCrash() < 6 {
			t.Errorf("%s: only %d writes to crash at", c.name, crashes)
		}
	}
}

package orgpolicy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/orgpolicy"
	"github.com/orgguard/orgguard/orgs/sim"
)

// demo is the simulated demo, as the management account sees it.
func demo(t *testing.T) (*access.Pool, *orgs.Organization) {
	t.Helper()
	s, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.New(s)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := access.New(t.Context(), w.ManagementConfig("us-east-1"), access.Options{Role: "OrganizationAccountAccessRole", NoRateLimits: true})
	if err != nil {
		t.Fatal(err)
	}
	org, err := orgs.Load(t.Context(), pool.Organizations)
	if err != nil {
		t.Fatal(err)
	}
	return pool, org
}

const everywhere = `{"securityhub":{"enable_in_regions":{"@@assign":["ALL_SUPPORTED"]},"disable_in_regions":{"@@assign":[]}}}`

func TestAPolicyFromItsTypeToItsEnd(t *testing.T) {
	pool, org := demo(t)
	ctx, root := t.Context(), string(org.Root)
	api := orgpolicy.Of(pool, pool.Home("us-east-1"), types.PolicyTypeSecurityhubPolicy)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if status, err := api.Status(ctx, org.Root); err != nil || status != "" {
		t.Errorf("the type is %q, %v", status, err)
	}
	if p, err := api.Read(ctx, "p"); err != nil || p.ID != "" {
		t.Errorf("%+v, %v", p, err)
	}
	check(api.Enable(ctx, org.Root))
	check(api.Enable(ctx, org.Root)) // twice is no error
	if status, err := api.Status(ctx, org.Root); err != nil || status != types.PolicyTypeStatusEnabled {
		t.Errorf("the type is %q, %v", status, err)
	}
	if text, err := api.Effective(ctx, "300000000001"); err != nil || text != "" {
		t.Errorf("effective without a policy: %q, %v", text, err)
	}
	id, err := api.Create(ctx, "p", "of a test", everywhere)
	check(err)
	for _, want := range []bool{false, true} {
		if already, err := api.Attach(ctx, id, root); err != nil || already != want {
			t.Errorf("attached already: %t, %v", already, err)
		}
	}
	p, err := api.Read(ctx, "p")
	check(err)
	if diff := cmp.Diff(orgpolicy.Policy{Name: "p", ID: id, Content: everywhere, Targets: []string{root}}, p); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if ours, err := api.Ours(ctx, p); err != nil || !ours {
		t.Errorf("it carries the tag: %t, %v", ours, err)
	}
	all, err := api.Attached(ctx)
	if err != nil || len(all) != 1 || all[0].Content != "" || !cmp.Equal(all[0].Targets, []string{root}) {
		t.Errorf("%+v, %v", all, err)
	}
	if text, err := api.Effective(ctx, "300000000001"); err != nil || !strings.Contains(text, `"enable_in_regions":["ALL_SUPPORTED"]`) {
		t.Errorf("effective: %q, %v", text, err)
	}
	check(api.Update(ctx, id, strings.Replace(everywhere, "ALL_SUPPORTED", "us-east-1", 1)))
	if err := api.Delete(ctx, id); orgs.Code(err) != "PolicyInUseException" {
		t.Errorf("an attached policy is deleted: %v", err)
	}
	for _, want := range []bool{false, true} {
		if already, err := api.Detach(ctx, id, root); err != nil || already != want {
			t.Errorf("detached already: %t, %v", already, err)
		}
	}
	check(api.Delete(ctx, id))
}

// What AWS refuses comes with what to do about it, in the words of the type.
func TestRefusalsAreExplained(t *testing.T) {
	limit := func(reason types.ConstraintViolationExceptionReason) error {
		return &types.ConstraintViolationException{Message: aws.String("no"), Reason: reason}
	}
	code := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "no"} }
	for name, c := range map[string]struct {
		kind types.PolicyType
		err  error
		want string // "" for no advice
	}{
		"too many SCPs":                 {types.PolicyTypeServiceControlPolicy, limit(types.ConstraintViolationExceptionReasonMaxPolicyTypeAttachmentLimitExceeded), "as many SCPs as AWS allows"},
		"too many Security Hub ones":    {types.PolicyTypeSecurityhubPolicy, limit(types.ConstraintViolationExceptionReasonMaxPolicyTypeAttachmentLimitExceeded), "as many policies of the type"},
		"too many policies":             {types.PolicyTypeSecurityhubPolicy, limit(types.ConstraintViolationExceptionReasonPolicyNumberLimitExceeded), "delete one that is not attached"},
		"the type of SCPs is off":       {types.PolicyTypeServiceControlPolicy, code("PolicyTypeNotEnabledException"), "enable service control policies first"},
		"the type of another is off":    {types.PolicyTypeSecurityhubPolicy, code("PolicyTypeNotEnabledException"), "--policy-type SECURITYHUB_POLICY"},
		"somebody who may not":          {types.PolicyTypeSecurityhubPolicy, code("AccessDeniedException"), "from the management account"},
		"somebody who may not, of SCPs": {types.PolicyTypeServiceControlPolicy, code("AccessDeniedException"), "SCPs are written from the management account"},
		"what nobody foresaw":           {types.PolicyTypeSecurityhubPolicy, code("ServiceException"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := orgpolicy.Of(nil, access.At{}, c.kind).Explain("attach policy p", c.err)
			var hint *orgs.Hinted
			if !errors.As(err, &hint) {
				hint = &orgs.Hinted{}
			}
			if (c.want == "") != (hint.Next == "") || !strings.Contains(hint.Next, c.want) {
				t.Errorf("advice %q, want %q", hint.Next, c.want)
			}
			if !strings.HasPrefix(err.Error(), "attach policy p: ") || !errors.Is(err, c.err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

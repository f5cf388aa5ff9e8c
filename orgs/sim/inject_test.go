package sim

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
)

// once makes a client's calls without retries.
func once(o *iam.Options) { o.RetryMaxAttempts = 1 }

func TestFaultsFailMatchingCalls(t *testing.T) {
	w := newTestWorld(t, "demo")
	faults := []Fault{{Service: "iam", Operation: "ListRoles", Account: shopProd, Code: "ServiceFailure", Message: "sorry", Times: 2}}
	w.SetFaults(Faults{Errors: faults})
	var got []string
	for _, account := range []string{shopProd, security, shopProd, shopProd} {
		_, err := iam.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(account, "Admin", "a")), once).ListRoles(t.Context(), &iam.ListRolesInput{})
		got = append(got, errorCode(err))
	}
	if diff := cmp.Diff([]string{"ServiceFailure", "", "ServiceFailure", ""}, got); diff != "" {
		t.Error(diff)
	}
	if faults[0].Times != 2 {
		t.Error("the caller's faults were changed")
	}
}

func TestThrottlingIsTheSameEveryTime(t *testing.T) {
	run := func() (pattern string) {
		w := newTestWorld(t, "demo")
		w.SetFaults(Faults{ThrottlePercent: 30})
		c := sts.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(shopProd, "Admin", "a")), func(o *sts.Options) { o.RetryMaxAttempts = 1 })
		for range 400 {
			_, err := c.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			switch code := errorCode(err); code {
			case "":
				pattern += "."
			case "Throttling":
				pattern += "x"
			default:
				t.Fatal(code)
			}
		}
		return pattern
	}
	first, second := run(), run()
	if first != second {
		t.Errorf("%s\n%s", first, second)
	}
	if n := strings.Count(first, "x"); n < 80 || n > 160 {
		t.Errorf("%d of 400 calls throttled, want about 120", n)
	}
}

func TestTheSDKRetriesWhatIsThrottled(t *testing.T) {
	w := newTestWorld(t, "demo")
	w.SetFaults(Faults{Errors: []Fault{{Service: "iam", Code: "Throttling", Message: "Rate exceeded", Times: 2}}})
	if _, err := iamClient(w, shopProd).ListRoles(t.Context(), &iam.ListRolesInput{}); err != nil {
		t.Error(err)
	}
	if n := w.Calls()["iam:ListRoles"]; n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestCrashAfterTheNthWrite(t *testing.T) {
	w := newTestWorld(t, "demo")
	crashed := errors.New("crashed")
	w.SetFaults(Faults{CrashAtWrite: 2, Crash: func() { panic(crashed) }})
	c := iamClient(w, shopProd)
	tag := func(alias string) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = r.(error)
			}
		}()
		_, err = c.CreateAccountAlias(t.Context(), &iam.CreateAccountAliasInput{AccountAlias: aws.String(alias)})
		return err
	}
	var got []string
	for _, alias := range []string{"one", "two", "three"} {
		err := tag(alias)
		out, e := c.ListAccountAliases(t.Context(), &iam.ListAccountAliasesInput{})
		if e != nil {
			t.Fatal(e)
		}
		got = append(got, errorCode(err)+" "+out.AccountAliases[0])
	}
	// The second write is made, and nobody hears of it; then all goes on.
	if diff := cmp.Diff([]string{" one", "crashed two", " three"}, got); diff != "" {
		t.Error(diff)
	}
}

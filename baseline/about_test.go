package baseline

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// What is said of a control is true: its example is a configuration that turns it
// on, and what it deploys is there in both modes.
func TestEveryControlIsExplained(t *testing.T) {
	for _, c := range controls {
		t.Run(c.ID, func(t *testing.T) {
			if c.about.Why == "" || c.about.Cost == "" || !strings.HasPrefix(c.about.Example, c.ID+": ") {
				t.Errorf("about is %+v", c.about)
			}
			for _, mode := range []string{"central", "local"} {
				on := c.about.Example
				for _, need := range needed(c.ID)[1:] {
					on += ", " + need + ": true"
				}
				config := "version: 1\nregions: [us-east-1]\nsecurity_account: \"200000000001\"\nalerts: {mode: " + mode + "}\nbaseline: {" + on + "}\n"
				b, err := Resolve(parseConfig(t, config), smallOrg("aws"), "us-east-1")
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(strings.Join(b.Controls(), " "), c.ID) {
					t.Errorf("the example does not turn it on: %v", b.Controls())
				}
				e, err := Explain(parseConfig(t, "version: 1\nregions: [us-east-1]\nalerts: {mode: "+mode+"}\nbaseline: {"+c.ID+": false}\n"), smallOrg("aws"), c.ID, "us-east-1")
				if err != nil {
					t.Fatal(err)
				}
				rules := slices.DeleteFunc(slices.Clone(e.Deploys), func(p Piece) bool { return p.Type != "AWS::Events::Rule" })
				if want := map[string]int{"central": 2, "local": 1}[mode]; c.alert != nil && len(rules) != want {
					t.Errorf("%s: deploys %+v; want %d rules", mode, e.Deploys, want)
				}
				for _, s := range e.Settings {
					if s.Doc == "" {
						t.Errorf("setting %s is not explained", s.Key)
					}
				}
			}
		})
	}
}

// A control for an account without an organization is one template that asks for
// nothing of an organization.
func TestSingleAccountTemplates(t *testing.T) {
	n := 0
	for _, c := range controls {
		cfg := parseConfig(t, "version: 1\nregions: [us-east-1]\nalerts: {email: [one@example.com]}\n")
		got, err := SingleAccount(cfg, smallOrg("aws"), c.ID, "us-east-1")
		if err != nil {
			if !strings.Contains(err.Error(), "deploys nothing that an account without an organization could have") {
				t.Errorf("%s: %v", c.ID, err)
			}
			continue
		}
		n++
		tmpl, err := parseTemplate(got.Name, []byte(got.Body))
		if err != nil {
			t.Fatal(err)
		}
		rs, err := tmpl.resources(scope{account: shopProd, region: "us-east-1", partition: "aws", suffix: "amazonaws.com", params: got.Parameters})
		if err != nil || len(rs) == 0 {
			t.Errorf("%s: %d resources, %v", c.ID, len(rs), err)
		}
		for _, foreign := range []string{"OrgID", "AlertBusArn", "SecurityAccountId", "ManagementAccountId", securityAccount} {
			if strings.Contains(got.Body, foreign) {
				t.Errorf("%s asks for %s", c.ID, foreign)
			}
		}
		if c.alert != nil && (!strings.Contains(got.Body, "AWS::SNS::Topic\n") || !strings.Contains(got.Body, "one@example.com")) {
			t.Errorf("%s has no topic or nobody subscribed to it", c.ID)
		}
	}
	if n < 14 {
		t.Errorf("only %d controls", n)
	}
}

// A template for an account without an organization says no more than it does: nothing of
// what a control needs passes for the control.
func TestWhatAnAccountAloneCanHave(t *testing.T) {
	want := map[string]bool{}
	for _, id := range []string{"chat-alert", "s3-public-access", "ebs-encryption", "imds-v2", "password-policy", "default-vpc", "guardduty", "access-analyzer", "securityhub", "securityhub-policy"} {
		want[id] = true // has none
	}
	for _, c := range controls {
		_, err := SingleAccount(parseConfig(t, "version: 1\nregions: [us-east-1]\n"), smallOrg("aws"), c.ID, "us-east-1")
		if (err != nil) != want[c.ID] {
			t.Errorf("%s: %v", c.ID, err)
		}
	}
}

// The trail of an account without an organization records, and its topic is encrypted.
func TestTheTrailOfAnAccountAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := trailRig(t, false, demoConfig)
		tmpl, err := SingleAccount(parseConfig(t, "version: 1\nregions: ["+tokyo+"]\nalerts: {email: [one@example.com]}\n"), smallOrg("aws"), "unauthorized-alert", tokyo)
		noError(t, err)
		in := &cloudformation.CreateStackInput{StackName: aws.String("alone"), TemplateBody: aws.String(tmpl.Body), Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityNamedIam}}
		for _, k := range sortedKeys(tmpl.Parameters) {
			in.Parameters = append(in.Parameters, cfntypes.Parameter{ParameterKey: aws.String(k), ParameterValue: aws.String(tmpl.Parameters[k])})
		}
		cfg := r.member(shopProd, tokyo)
		c := cloudformation.NewFromConfig(cfg)
		_, err = c.CreateStack(t.Context(), in)
		noError(t, err)
		noError(t, cloudformation.NewStackCreateCompleteWaiter(c).Wait(t.Context(), &cloudformation.DescribeStacksInput{StackName: in.StackName}, 10*time.Minute))
		status, err := cloudtrail.NewFromConfig(cfg).GetTrailStatus(t.Context(), &cloudtrail.GetTrailStatusInput{Name: aws.String("orgguard")})
		noError(t, err)
		if !aws.ToBool(status.IsLogging) || status.LatestDeliveryError != nil || status.LatestCloudWatchLogsDeliveryError != nil {
			t.Errorf("%+v", status)
		}
		topic, err := sns.NewFromConfig(cfg).GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String("arn:aws:sns:" + tokyo + ":" + shopProd + ":orgguard-alerts")})
		noError(t, err)
		if topic.Attributes["KmsMasterKeyId"] != alertKeyAlias {
			t.Errorf("topic: %v", topic.Attributes)
		}
	})
}

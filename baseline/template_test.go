package baseline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
)

// evaluate evaluates a template whose one interesting resource is an SQS queue
// called Q with the given properties.
func evaluate(properties, rest string) (map[string]any, error) {
	src := "Parameters:\n  P: {Type: String}\n  D: {Type: String, Default: from the default}\n  N: {Type: Number, Default: 7}\n" +
		"Conditions:\n  Here: !Equals [!Ref AWS::Region, eu-west-1]\n  There: !Not [!Condition Here]\n  Both: !And [!Condition Here, !Condition There]\n  Either: !Or [!Condition There, !Condition Here]\n" +
		rest +
		"Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: jobs\n" + indent(properties)
	tmpl, err := parseTemplate("test", []byte(src))
	if err != nil {
		return nil, err
	}
	rs, err := tmpl.resources(scope{account: "123456789012", region: "eu-west-1", partition: "aws", suffix: "amazonaws.com", params: map[string]string{"P": "given"}})
	if err != nil {
		return nil, err
	}
	delete(rs[0].Props, "QueueName")
	return rs[0].Props, nil
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("      " + line)
	}
	return b.String()
}

func TestIntrinsics(t *testing.T) {
	cases := []struct {
		name, properties string
		want             map[string]any
	}{
		{"plain values", "S: text\nT: \"true\"\nB: true\nF: false\nI: 12\nE: ''\nNull: null\n", map[string]any{"S": "text", "T": "true", "B": true, "F": false, "I": 12.0, "E": "", "Null": nil}},
		{"lists and maps", "L: [a, {b: [c]}]\n", map[string]any{"L": []any{"a", map[string]any{"b": []any{"c"}}}}},
		{"Ref of a parameter", "V: !Ref P\n", map[string]any{"V": "given"}},
		{"Ref of a parameter with a default", "V: !Ref D\nN: !Ref N\n", map[string]any{"V": "from the default", "N": 7.0}},
		{"Ref of pseudo parameters", "V: [!Ref AWS::AccountId, !Ref AWS::Region, !Ref AWS::Partition, !Ref AWS::URLSuffix]\n", map[string]any{"V": []any{"123456789012", "eu-west-1", "aws", "amazonaws.com"}}},
		{"Ref of a resource", "V: !Ref Q\n", map[string]any{"V": "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"}},
		{"GetAtt of a resource", "V: !GetAtt Q.Arn\n", map[string]any{"V": "arn:aws:sqs:eu-west-1:123456789012:jobs"}},
		{"Sub", "V: !Sub \"${AWS::Partition}/${P}/${Q.Arn}/${!aws:username}/$x\"\n", map[string]any{"V": "aws/given/arn:aws:sqs:eu-west-1:123456789012:jobs/${aws:username}/$x"}},
		{"Join", "V: !Join [\"-\", [a, !Ref P, c]]\n", map[string]any{"V": "a-given-c"}},
		{"If", "V: !If [Here, yes it is, no]\nW: !If [There, a, b]\n", map[string]any{"V": "yes it is", "W": "b"}},
		{"conditions of conditions", "V: !If [Both, a, b]\nW: !If [Either, a, b]\n", map[string]any{"V": "b", "W": "a"}},
		{"NoValue drops a property and an item", "V: !If [Here, !Ref AWS::NoValue, x]\nL: [a, !If [Here, !Ref AWS::NoValue, x], c]\n", map[string]any{"L": []any{"a", "c"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := evaluate(c.properties, "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("properties (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIntrinsicsThatTheAuditDoesNotKnow(t *testing.T) {
	cases := []struct{ name, properties, want string }{
		{"another function", "V: !Base64 x\n", "does not know !Base64"},
		{"Sub with a list", "V: !Sub [\"${a}\", {a: b}]\n", "does not know !Sub"},
		{"an unknown parameter or resource", "V: !Ref Nothing\n", "no resource or parameter Nothing"},
		{"the same in a Sub", "V: !Sub \"${Nothing.Arn}\"\n", "no resource or parameter Nothing"},
		{"an unknown attribute", "V: !GetAtt Q.Colour\n", "attribute Colour of AWS::SQS::Queue"},
		{"an unknown condition", "V: !If [Nowhere, a, b]\n", "no condition Nowhere"},
		{"a parameter without a value", "V: !Ref Empty\n", "parameter Empty has no value"},
		{"an alias", "V: &a x\nW: *a\n", "anchors and aliases"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rest := ""
			if strings.Contains(c.properties, "Empty") {
				_, err := evaluateWithout(c.properties)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v; want %q", err, c.want)
				}
				return
			}
			_, err := evaluate(c.properties, rest)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v; want %q", err, c.want)
			}
		})
	}
}

// evaluateWithout evaluates properties in a template with a parameter Empty that
// nobody gives a value.
func evaluateWithout(properties string) (any, error) {
	tmpl, err := parseTemplate("test", []byte("Parameters:\n  Empty: {Type: String}\nResources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: jobs\n"+indent(properties)))
	if err != nil {
		return nil, err
	}
	return tmpl.resources(scope{})
}

func TestReferencesThatGoRoundEnd(t *testing.T) {
	tmpl, err := parseTemplate("test", []byte("Resources:\n  A: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref B}}\n  B: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref A}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tmpl.resources(scope{}); err == nil || !strings.Contains(err.Error(), "in a circle") {
		t.Errorf("error %v; want that references go in a circle", err)
	}
}

func TestConditionalResources(t *testing.T) {
	tmpl, err := parseTemplate("test", []byte("Conditions:\n  Here: !Equals [!Ref AWS::Region, eu-west-1]\nResources:\n  A: {Type: AWS::SQS::Queue, Condition: Here, Properties: {QueueName: a}}\n  B: {Type: AWS::SQS::Queue, Properties: {QueueName: b}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for region, want := range map[string]string{"eu-west-1": "AB", "us-east-1": "B"} {
		rs, err := tmpl.resources(scope{region: region})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, r := range rs {
			got += r.LogicalID
		}
		if got != want {
			t.Errorf("%s has %s; want %s", region, got, want)
		}
	}
}

func TestBrokenTemplates(t *testing.T) {
	for name, src := range map[string]string{"no YAML": "{", "a list": "- a\n", "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseTemplate("some.yaml", []byte(src)); err == nil || !strings.Contains(err.Error(), "template some.yaml") {
				t.Errorf("error %v; want one that names the file", err)
			}
		})
	}
}

func TestMerging(t *testing.T) {
	parse := func(src string) fragment {
		tmpl, err := parseTemplate("test", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		return fragment{control: fmt.Sprintf("c%d", len(src)), unit: "u", template: tmpl}
	}
	cases := []struct{ name, a, b, want, err string }{
		{"parameters that are the same", "Parameters: {P: {Type: String}}\nResources: {A: {Type: T}}\n", "Parameters: {P: {Type: String}}\nResources: {B: {Type: TT}}\n", "A,B", ""},
		{"parameters that differ", "Parameters: {P: {Type: String}}\n", "Parameters: {P: {Type: Number}}\n", "", "two fragments define Parameters.P differently"},
		{"a resource that two have", "Resources: {A: {Type: T}}\n", "Resources: {A: {Type: TTT}}\n", "", "both define A"},
		{"a parameter without a value", "Parameters: {X: {Type: String}}\n", "Resources: {A: {Type: T}}\n", "", "nobody gives parameter X a value"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			u, err := compose(unit{ID: "u", Stack: "s"}, []fragment{parse(c.a), parse(c.b)}, map[string]string{"P": "p"})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v; want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(sortedKeys(u.owner), ","); got != c.want {
				t.Errorf("resources %s; want %s", got, c.want)
			}
		})
	}
}

// The audit's evaluator and CloudFormation must name the same things. An audit
// after a rollout compares the properties; this compares the identities.
func TestTheEvaluatorAndCloudFormationAgree(t *testing.T) {
	for name, config := range map[string]string{"central alerts": demoConfig, "local alerts": localConfig} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, config)
				r.mustRollout(t)
				b := r.open(t)
				compared := 0
				for _, u := range b.units {
					for _, id := range []orgs.AccountID{management, securityAccount, shopProd} {
						if !b.has(u.unit, id) {
							continue
						}
						for _, region := range b.unitRegions(u.unit, b.Regions) {
							compared += compareWithStack(t, r, b, u, id, region)
						}
					}
				}
				if compared < 25 {
					t.Errorf("only %d resources were compared", compared)
				}
			})
		})
	}
}

func compareWithStack(t *testing.T, r *rig, b *run, u *composed, id orgs.AccountID, region string) (compared int) {
	t.Helper()
	c := cloudformation.NewFromConfig(r.member(string(id), region))
	stacks, err := c.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{})
	if err != nil {
		t.Fatal(err)
	}
	physical := map[string]string{}
	for _, s := range stacks.Stacks {
		if name := aws.ToString(s.StackName); name != u.Stack && !strings.HasPrefix(name, "StackSet-"+u.Stack+"-") {
			continue
		}
		out, err := c.DescribeStackResources(t.Context(), &cloudformation.DescribeStackResourcesInput{StackName: s.StackName})
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range out.StackResources {
			physical[aws.ToString(res.LogicalResourceId)] = aws.ToString(res.PhysicalResourceId)
		}
	}
	where := fmt.Sprintf("%s in %s %s", u.ID, id, region)
	rs, err := u.resources(b.scope(id, region))
	if err != nil {
		t.Fatal(err)
	}
	if len(rs) != len(physical) {
		t.Errorf("%s: the evaluator has %d resources, the stack %d", where, len(rs), len(physical))
	}
	for _, res := range rs {
		got, ok := physical[res.LogicalID]
		format, named := kinds[res.Type].attributes["Ref"]
		if !ok {
			t.Errorf("%s: the stack has no %s", where, res.LogicalID)
		}
		if !named || res.Type == "AWS::KMS::Key" {
			continue
		}
		s := site{Pool: b.pool, at: b.pool.In(b.Org.Partition, id, region)}
		if want := s.attribute(res, "Ref"); got != want {
			t.Errorf("%s: %s is %s; the evaluator says %s (%s)", where, res.LogicalID, got, want, format)
		}
		compared++
	}
	return compared
}

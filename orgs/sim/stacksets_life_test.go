package sim

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"
)

func TestAutoDeployment(t *testing.T) {
	ctx := t.Context()
	setUp := func(t *testing.T, retain bool) (*World, *cloudformation.Client, func(from, to string)) {
		w, c := setsWorld(ctx, t)
		in := setInput("alerts", cfnFile(t, "alerts.yaml"))
		in.AutoDeployment = &types.AutoDeployment{Enabled: aws.Bool(true), RetainStacksOnAccountRemoval: &retain}
		createSet(ctx, t, c, in)
		create := instancesIn("alerts", []string{unit(t, w, "Workloads")}, cfnRegion)
		create.DeploymentTargets.AccountFilterType = types.AccountFilterTypeIntersection
		create.DeploymentTargets.Accounts = []string{"310000000001"}
		create.ParameterOverrides = []types.Parameter{{ParameterKey: aws.String("Prefix"), ParameterValue: aws.String("over")}}
		createInstances(ctx, t, c, create)
		return w, c, func(from, to string) {
			t.Helper()
			if _, err := orgClient(w).MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: aws.String(cfnAccount), SourceParentId: &from, DestinationParentId: &to}); err != nil {
				t.Fatal(err)
			}
		}
	}
	const current = "CURRENT/SUCCEEDED"
	t.Run("an account that joins is deployed to, without filters and overrides", func(t *testing.T) {
		w, c, move := setUp(t, false)
		targets, err := c.ListStackSetAutoDeploymentTargets(ctx, &cloudformation.ListStackSetAutoDeploymentTargetsInput{StackSetName: aws.String("alerts")})
		if err != nil || len(targets.Summaries) != 1 || *targets.Summaries[0].OrganizationalUnitId != unit(t, w, "Workloads") {
			t.Errorf("targets: %v, %v", targets, err)
		}
		move(unit(t, w, "Sandbox"), unit(t, w, "Prod"))
		if diff := cmp.Diff(map[string]string{"310000000001": current, cfnAccount: current}, instancesNow(ctx, t, c, "alerts")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"guard-alerts"}, topicsIn(ctx, t, w, cfnAccount)); diff != "" {
			t.Error(diff)
		}
		move(unit(t, w, "Prod"), unit(t, w, "Dev")) // still below the target
		if n := len(instancesNow(ctx, t, c, "alerts")); n != 2 {
			t.Errorf("%d instances", n)
		}
		move(unit(t, w, "Dev"), unit(t, w, "Sandbox"))
		if diff := cmp.Diff(map[string]string{"310000000001": current}, instancesNow(ctx, t, c, "alerts")); diff != "" {
			t.Error(diff)
		}
		if left := topicsIn(ctx, t, w, cfnAccount); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
	t.Run("an account that leaves keeps its stack when told so", func(t *testing.T) {
		w, c, move := setUp(t, true)
		move(unit(t, w, "Sandbox"), unit(t, w, "Dev"))
		move(unit(t, w, "Dev"), unit(t, w, "Sandbox"))
		if diff := cmp.Diff(map[string]string{"310000000001": current}, instancesNow(ctx, t, c, "alerts")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"guard-alerts"}, topicsIn(ctx, t, w, cfnAccount)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a dependent stack set waits for the one it depends on", func(t *testing.T) {
		w, c, move := setUp(t, false)
		first, err := c.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: aws.String("alerts")})
		if err != nil {
			t.Fatal(err)
		}
		in := setInput("aaa-later", aws.String("Resources: {T: {Type: AWS::SNS::Topic, Properties: {TopicName: later}}}"))
		in.AutoDeployment = &types.AutoDeployment{Enabled: aws.Bool(true), DependsOn: []string{*first.StackSet.StackSetARN}}
		createSet(ctx, t, c, in)
		createInstances(ctx, t, c, instancesIn("aaa-later", []string{unit(t, w, "Workloads")}, cfnRegion))
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		w.SetClock(func() time.Time { return now })
		w.SetTiming(Timing{StackInstance: time.Minute})
		move(unit(t, w, "Sandbox"), unit(t, w, "Dev"))
		latest := func(set string) types.StackSetOperationStatus {
			out, err := c.ListStackSetOperations(ctx, &cloudformation.ListStackSetOperationsInput{StackSetName: &set})
			if err != nil {
				t.Fatal(err)
			}
			return out.Summaries[0].Status
		}
		for _, want := range [][2]types.StackSetOperationStatus{{"RUNNING", "QUEUED"}, {"SUCCEEDED", "RUNNING"}, {"SUCCEEDED", "SUCCEEDED"}} {
			if got := [2]types.StackSetOperationStatus{latest("alerts"), latest("aaa-later")}; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
			now = now.Add(time.Minute)
		}
	})
}

func TestStackSetDrift(t *testing.T) {
	ctx := t.Context()
	w, c := setsWorld(ctx, t)
	createSet(ctx, t, c, setInput("baseline", cfnFile(t, "baseline.yaml")))
	createInstances(ctx, t, c, instancesIn("baseline", []string{unit(t, w, "Workloads")}, cfnRegion))
	detect := func(t *testing.T) (map[string]string, *types.StackSetDriftDetectionDetails, string) {
		t.Helper()
		out, err := c.DetectStackSetDrift(ctx, &cloudformation.DetectStackSetDriftInput{StackSetName: aws.String("baseline"), OperationPreferences: &types.StackSetOperationPreferences{MaxConcurrentPercentage: aws.Int32(100), FailureTolerancePercentage: aws.Int32(100)}})
		if err != nil {
			t.Fatal(err)
		}
		list, err := c.ListStackInstances(ctx, &cloudformation.ListStackInstancesInput{StackSetName: aws.String("baseline")})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, i := range list.Summaries {
			got[*i.Account] = string(i.DriftStatus)
		}
		set, err := c.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: aws.String("baseline")})
		if err != nil {
			t.Fatal(err)
		}
		return got, set.StackSet.StackSetDriftDetectionDetails, *out.OperationId
	}
	t.Run("what was just deployed is in sync", func(t *testing.T) {
		got, details, id := detect(t)
		for account, status := range got {
			if status == "IN_SYNC" {
				continue
			}
			drifts, err := c.ListStackInstanceResourceDrifts(ctx, &cloudformation.ListStackInstanceResourceDriftsInput{StackSetName: aws.String("baseline"), OperationId: &id, StackInstanceAccount: &account, StackInstanceRegion: aws.String(cfnRegion)})
			t.Errorf("%s is %s: %+v %v", account, status, drifts, err)
		}
		if details.DriftStatus != types.StackSetDriftStatusInSync || *details.InSyncStackInstancesCount != 5 || details.DriftDetectionStatus != types.StackSetDriftDetectionStatusCompleted {
			t.Errorf("%+v", details)
		}
	})
	t.Run("changes to a topic, a rule, a policy and the loss of a rule are found, a stopped recorder is not", func(t *testing.T) {
		as := func(account string) aws.Config { return w.Config(cfnRegion, w.RolePrincipal(account, "Admin", "test")) }
		topic := func(account string) *string {
			return aws.String("arn:aws:sns:ap-northeast-1:" + account + ":guard-alerts")
		}
		tamper := map[string]func() error{
			"300000000001": func() error {
				_, err := eventbridge.NewFromConfig(as("300000000001")).DisableRule(ctx, &eventbridge.DisableRuleInput{Name: aws.String("guard-config-change")})
				return err
			},
			"300000000002": func() error {
				_, err := sns.NewFromConfig(as("300000000002")).SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: topic("300000000002"), AttributeName: aws.String("Policy"),
					AttributeValue: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sns:Publish","Resource":"` + *topic("300000000002") + `"}]}`)})
				return err
			},
			"300000000003": func() error {
				_, err := configservice.NewFromConfig(as("300000000003")).StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String("guard")})
				return err
			},
			"310000000001": func() error {
				_, err := sns.NewFromConfig(as("310000000001")).SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: topic("310000000001"), AttributeName: aws.String("DisplayName"), AttributeValue: aws.String("x")})
				return err
			},
			"310000000002": func() error {
				e := eventbridge.NewFromConfig(as("310000000002"))
				if _, err := e.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: aws.String("guard-config-change"), Ids: []string{"topic"}}); err != nil {
					return err
				}
				_, err := e.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: aws.String("guard-config-change")})
				return err
			},
		}
		for account, f := range tamper {
			if err := f(); err != nil {
				t.Fatalf("%s: %v", account, err)
			}
		}
		got, details, id := detect(t)
		want := map[string]string{"300000000001": "DRIFTED", "300000000002": "DRIFTED", "300000000003": "IN_SYNC", "310000000001": "DRIFTED", "310000000002": "DRIFTED"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if details.DriftStatus != types.StackSetDriftStatusDrifted || *details.DriftedStackInstancesCount != 4 || *details.TotalStackInstancesCount != 5 {
			t.Errorf("%+v", details)
		}
		found := map[string]string{}
		for account := range want {
			out, err := c.ListStackInstanceResourceDrifts(ctx, &cloudformation.ListStackInstanceResourceDriftsInput{StackSetName: aws.String("baseline"), OperationId: &id, StackInstanceAccount: &account, StackInstanceRegion: aws.String(cfnRegion)})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range out.Summaries {
				if strings.HasPrefix(*s.ResourceType, "AWS::Config::") && s.StackResourceDriftStatus != types.StackResourceDriftStatusNotChecked {
					t.Errorf("%s is %s", *s.ResourceType, s.StackResourceDriftStatus)
				}
				if s.StackResourceDriftStatus == "MODIFIED" || s.StackResourceDriftStatus == "DELETED" {
					found[account] = *s.LogicalResourceId + " " + string(s.StackResourceDriftStatus)
				}
			}
		}
		wantFound := map[string]string{"300000000001": "Rule MODIFIED", "300000000002": "TopicPolicy MODIFIED", "310000000001": "Topic MODIFIED", "310000000002": "Rule DELETED"}
		if diff := cmp.Diff(wantFound, found); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDeleteStackInstances(t *testing.T) {
	ctx := t.Context()
	setUp := func(t *testing.T) (*World, *cloudformation.Client) {
		w, c := setsWorld(ctx, t)
		createSet(ctx, t, c, setInput("alerts", cfnFile(t, "alerts.yaml")))
		createInstances(ctx, t, c, instancesIn("alerts", []string{"r-demo"}, cfnRegion))
		return w, c
	}
	remove := func(t *testing.T, c *cloudformation.Client, retain bool, ou string) *types.StackSetOperation {
		t.Helper()
		out, err := c.DeleteStackInstances(ctx, &cloudformation.DeleteStackInstancesInput{
			StackSetName: aws.String("alerts"), Regions: []string{cfnRegion}, RetainStacks: &retain, DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{ou}},
			OperationPreferences: &types.StackSetOperationPreferences{FailureTolerancePercentage: aws.Int32(100), MaxConcurrentPercentage: aws.Int32(100)}})
		if err != nil {
			t.Fatal(err)
		}
		return operationNow(ctx, t, c, "alerts", *out.OperationId)
	}
	t.Run("deletes the stacks", func(t *testing.T) {
		w, c := setUp(t)
		if o := remove(t, c, false, unit(t, w, "Sandbox")); o.Status != types.StackSetOperationStatusSucceeded {
			t.Errorf("%s", o.Status)
		}
		if left := topicsIn(ctx, t, w, cfnAccount); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		if n := len(instancesNow(ctx, t, c, "alerts")); n != 10 {
			t.Errorf("%d instances", n)
		}
	})
	t.Run("retains the stacks, and forgets suspended accounts", func(t *testing.T) {
		w, c := setUp(t)
		if o := remove(t, c, true, "r-demo"); o.Status != types.StackSetOperationStatusSucceeded {
			t.Errorf("%s", o.Status)
		}
		if diff := cmp.Diff([]string{"guard-alerts"}, topicsIn(ctx, t, w, cfnAccount)); diff != "" {
			t.Error(diff)
		}
		if left := instancesNow(ctx, t, c, "alerts"); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		if _, err := c.DeleteStackSet(ctx, &cloudformation.DeleteStackSetInput{StackSetName: aws.String("alerts")}); err != nil {
			t.Error(err)
		}
		_, err := c.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: aws.String("alerts")})
		if diff := cmp.Diff("StackSetNotFoundException: StackSet alerts not found", codeAndText(err)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("what cannot be deleted is inoperable, and updates leave it alone", func(t *testing.T) {
		w, c := setUp(t)
		member := cfnAdmin(w, cfnAccount)
		s := deployed(ctx, t, w, cfnAccount)
		if _, err := member.UpdateTerminationProtection(ctx, &cloudformation.UpdateTerminationProtectionInput{StackName: s.StackName, EnableTerminationProtection: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
		if o := remove(t, c, false, unit(t, w, "Sandbox")); *o.StatusDetails.FailedStackInstancesCount != 1 {
			t.Errorf("%d failed", *o.StatusDetails.FailedStackInstancesCount)
		}
		if got := instancesNow(ctx, t, c, "alerts")[cfnAccount]; got != "INOPERABLE/INOPERABLE" {
			t.Errorf("%s", got)
		}
		up, err := c.UpdateStackSet(ctx, &cloudformation.UpdateStackSetInput{StackSetName: aws.String("alerts"), UsePreviousTemplate: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range resultsNow(ctx, t, c, "alerts", *up.OperationId) {
			if strings.HasPrefix(r, cfnAccount) {
				t.Error(r)
			}
		}
		if o := remove(t, c, true, unit(t, w, "Sandbox")); o.Status != types.StackSetOperationStatusSucceeded {
			t.Errorf("%s", o.Status)
		}
	})
}

func TestDelegatedAdministrator(t *testing.T) {
	ctx := t.Context()
	w, management := setsWorld(ctx, t)
	const security = "200000000001"
	if _, err := orgClient(w).RegisterDelegatedAdministrator(ctx, &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(security), ServicePrincipal: aws.String("member.org.stacksets.cloudformation.amazonaws.com")}); err != nil {
		t.Fatal(err)
	}
	c := cfnAdmin(w, security)
	in := setInput("alerts", cfnFile(t, "alerts.yaml"))
	in.CallAs = types.CallAsDelegatedAdmin
	createSet(ctx, t, c, in)
	create := instancesIn("alerts", []string{unit(t, w, "Dev")}, cfnRegion)
	create.CallAs = types.CallAsDelegatedAdmin
	createInstances(ctx, t, c, create)
	// The set is the management account's.
	if n := len(instancesNow(ctx, t, management, "alerts")); n != 2 {
		t.Errorf("%d instances", n)
	}
	_, err := c.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: aws.String("alerts")})
	if diff := cmp.Diff("StackSetNotFoundException: StackSet alerts not found", codeAndText(err)); diff != "" {
		t.Error(diff)
	}
	list, err := c.ListStackSets(ctx, &cloudformation.ListStackSetsInput{CallAs: types.CallAsDelegatedAdmin})
	if err != nil || len(list.Summaries) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestSelfManagedStackSet(t *testing.T) {
	ctx := t.Context()
	w, c := setsWorld(ctx, t)
	in := &cloudformation.CreateStackSetInput{StackSetName: aws.String("own"), TemplateBody: cfnFile(t, "alerts.yaml")}
	createSet(ctx, t, c, in)
	run := func() (status, reason string) {
		t.Helper()
		out, err := c.CreateStackInstances(ctx, &cloudformation.CreateStackInstancesInput{StackSetName: aws.String("own"), Accounts: []string{cfnAccount}, Regions: []string{cfnRegion}})
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.ListStackSetOperationResults(ctx, &cloudformation.ListStackSetOperationResultsInput{StackSetName: aws.String("own"), OperationId: out.OperationId})
		if err != nil {
			t.Fatal(err)
		}
		return string(res.Summaries[0].Status), aws.ToString(res.Summaries[0].StatusReason)
	}
	makeRoleFor := func(account, admin, name, principal string) {
		t.Helper()
		c := iam.NewFromConfig(w.Config(cfnRegion, w.RolePrincipal(account, admin, "test")))
		if _, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"sts:AssumeRole"}]}`)}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &name, PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")}); err != nil {
			t.Fatal(err)
		}
	}
	status, reason := run()
	if diff := cmp.Diff("FAILED Account 100000000001 should have 'AWSCloudFormationStackSetAdministrationRole' role with trust relationship to CloudFormation service.", status+" "+reason); diff != "" {
		t.Error(diff)
	}
	makeRoleFor("100000000001", "OrgAdmin", defaultAdminRole, `{"Service":"cloudformation.amazonaws.com"}`)
	status, reason = run()
	if diff := cmp.Diff("FAILED Account 500000000001 should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship to Role 'AWSCloudFormationStackSetAdministrationRole'.", status+" "+reason); diff != "" {
		t.Error(diff)
	}
	makeRoleFor(cfnAccount, "Admin", defaultExecutionRole, `{"AWS":"arn:aws:iam::100000000001:root"}`)
	if status, reason = run(); status != "SUCCEEDED" {
		t.Errorf("%s: %s", status, reason)
	}
	if diff := cmp.Diff([]string{"guard-alerts"}, topicsIn(ctx, t, w, cfnAccount)); diff != "" {
		t.Error(diff)
	}
}

func TestStackSetListingsHavePages(t *testing.T) {
	ctx := t.Context()
	w, err := New(Generate(130, 3, 2))
	if err != nil {
		t.Fatal(err)
	}
	c := cloudformation.NewFromConfig(w.ManagementConfig("us-east-1"))
	if _, err := c.ActivateOrganizationsAccess(ctx, &cloudformation.ActivateOrganizationsAccessInput{}); err != nil {
		t.Fatal(err)
	}
	createSet(ctx, t, c, setInput("topics", aws.String("Resources: {T: {Type: AWS::SNS::Topic}}")))
	id := createInstances(ctx, t, c, instancesIn("topics", []string{w.state.Org.RootID}, "us-east-1"))
	var sizes []int
	p := cloudformation.NewListStackInstancesPaginator(c, &cloudformation.ListStackInstancesInput{StackSetName: aws.String("topics")})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Summaries))
	}
	if diff := cmp.Diff("[100 30]", fmt.Sprint(sizes)); diff != "" && fmt.Sprint(sizes) != "[100 29]" {
		t.Error(diff)
	}
	if n := len(resultsNow(ctx, t, c, "topics", id)); n != sizes[0]+sizes[1] {
		t.Errorf("%d results", n)
	}
}

func TestStackSetOperationGoesOnInAnotherProcess(t *testing.T) {
	ctx := t.Context()
	spec, err := Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "world.json")
	w, err := Create(path, spec, false)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	w.SetClock(clock)
	w.SetTiming(Timing{StackInstance: time.Minute})
	c := cloudformation.NewFromConfig(w.ManagementConfig(cfnRegion))
	if _, err := c.ActivateOrganizationsAccess(ctx, &cloudformation.ActivateOrganizationsAccessInput{}); err != nil {
		t.Fatal(err)
	}
	createSet(ctx, t, c, setInput("alerts", cfnFile(t, "alerts.yaml")))
	in := instancesIn("alerts", []string{unit(t, w, "Dev")}, cfnRegion)
	in.OperationPreferences = nil
	id := createInstances(ctx, t, c, in)
	now = now.Add(time.Minute)
	if diff := cmp.Diff([]string{"310000000001 ap-northeast-1 SUCCEEDED", "310000000002 ap-northeast-1 RUNNING"}, resultsNow(ctx, t, c, "alerts", id)); diff != "" {
		t.Error(diff)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w, err = Open(path); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	w.SetClock(clock)
	now = now.Add(time.Minute)
	c = cloudformation.NewFromConfig(w.ManagementConfig(cfnRegion))
	if o := operationNow(ctx, t, c, "alerts", id); o.Status != types.StackSetOperationStatusSucceeded {
		t.Errorf("%s", o.Status)
	}
	if diff := cmp.Diff([]string{"guard-alerts"}, topicsIn(ctx, t, w, "310000000002")); diff != "" {
		t.Error(diff)
	}
}

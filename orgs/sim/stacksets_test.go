package sim

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"
)

// unit is the id of an OU of the demo scenario by name.
func unit(t *testing.T, w *World, name string) string {
	t.Helper()
	for id, u := range w.state.Org.Units {
		if u.Name == name {
			return id
		}
	}
	t.Fatalf("there is no OU %s", name)
	return ""
}

// setsWorld is the demo with StackSets activated, and a client of the
// management account.
func setsWorld(ctx context.Context, t *testing.T) (*World, *cloudformation.Client) {
	t.Helper()
	w := newTestWorld(t, "demo")
	c := cloudformation.NewFromConfig(w.ManagementConfig(cfnRegion))
	if _, err := c.ActivateOrganizationsAccess(ctx, &cloudformation.ActivateOrganizationsAccessInput{}); err != nil {
		t.Fatal(err)
	}
	return w, c
}

// setInput is a service-managed stack set.
func setInput(name string, body *string) *cloudformation.CreateStackSetInput {
	return &cloudformation.CreateStackSetInput{
		StackSetName: &name, TemplateBody: body, PermissionModel: types.PermissionModelsServiceManaged,
		AutoDeployment: &types.AutoDeployment{Enabled: aws.Bool(false)}, Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam},
	}
}

func createSet(ctx context.Context, t *testing.T, c *cloudformation.Client, in *cloudformation.CreateStackSetInput) {
	t.Helper()
	if _, err := c.CreateStackSet(ctx, in); err != nil {
		t.Fatal(err)
	}
}

// instancesIn is a request for instances in OUs.
func instancesIn(set string, units []string, regions ...string) *cloudformation.CreateStackInstancesInput {
	return &cloudformation.CreateStackInstancesInput{
		StackSetName: &set, Regions: regions, DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: units},
		OperationPreferences: &types.StackSetOperationPreferences{
			MaxConcurrentPercentage: aws.Int32(100), FailureTolerancePercentage: aws.Int32(100), ConcurrencyMode: types.ConcurrencyModeSoftFailureTolerance},
	}
}

func createInstances(ctx context.Context, t *testing.T, c *cloudformation.Client, in *cloudformation.CreateStackInstancesInput) string {
	t.Helper()
	out, err := c.CreateStackInstances(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.OperationId
}

func operationNow(ctx context.Context, t *testing.T, c *cloudformation.Client, set, id string) *types.StackSetOperation {
	t.Helper()
	out, err := c.DescribeStackSetOperation(ctx, &cloudformation.DescribeStackSetOperationInput{StackSetName: &set, OperationId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return out.StackSetOperation
}

// instancesNow is "STATUS/DETAILED" by account, and by "account Region" where
// the Region is not the tests' own.
func instancesNow(ctx context.Context, t *testing.T, c *cloudformation.Client, set string) map[string]string {
	t.Helper()
	got := map[string]string{}
	p := cloudformation.NewListStackInstancesPaginator(c, &cloudformation.ListStackInstancesInput{StackSetName: &set})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Summaries {
			key := *i.Account
			if *i.Region != cfnRegion {
				key += " " + *i.Region
			}
			got[key] = string(i.Status) + "/" + string(i.StackInstanceStatus.DetailedStatus)
		}
	}
	return got
}

// resultsNow is the status of each account × Region of an operation, in order.
func resultsNow(ctx context.Context, t *testing.T, c *cloudformation.Client, set, id string) []string {
	t.Helper()
	var got []string
	p := cloudformation.NewListStackSetOperationResultsPaginator(c, &cloudformation.ListStackSetOperationResultsInput{StackSetName: &set, OperationId: &id})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Summaries {
			got = append(got, *r.Account+" "+*r.Region+" "+string(r.Status))
		}
	}
	return got
}

func topicsIn(ctx context.Context, t *testing.T, w *World, account string) []string {
	t.Helper()
	out, err := sns.NewFromConfig(w.Config(cfnRegion, w.RolePrincipal(account, "Admin", "test"))).ListTopics(ctx, &sns.ListTopicsInput{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, topic := range out.Topics {
		names = append(names, (*topic.TopicArn)[strings.LastIndex(*topic.TopicArn, ":")+1:])
	}
	return names
}

func TestStackSetsNeedOrganizationsAccess(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	c := cloudformation.NewFromConfig(w.ManagementConfig(cfnRegion))
	access := func() types.OrganizationStatus {
		out, err := c.DescribeOrganizationsAccess(ctx, &cloudformation.DescribeOrganizationsAccessInput{})
		if err != nil {
			t.Fatal(err)
		}
		return out.Status
	}
	_, err := c.CreateStackSet(ctx, setInput("alerts", cfnFile(t, "alerts.yaml")))
	if diff := cmp.Diff("ValidationError: You must enable organizations access to operate a service managed stack set", codeAndText(err)); diff != "" {
		t.Error(diff)
	}
	if got := access(); got != types.OrganizationStatusDisabled {
		t.Errorf("before: %s", got)
	}
	_, err = cfnAdmin(w, cfnAccount).ActivateOrganizationsAccess(ctx, &cloudformation.ActivateOrganizationsAccessInput{})
	if got := codeAndText(err); !strings.HasPrefix(got, "InvalidOperationException: ") {
		t.Errorf("a member activates: %q", got)
	}
	if _, err := c.ActivateOrganizationsAccess(ctx, &cloudformation.ActivateOrganizationsAccessInput{}); err != nil {
		t.Fatal(err)
	}
	if got := access(); got != types.OrganizationStatusEnabled {
		t.Errorf("after: %s", got)
	}
	createSet(ctx, t, c, setInput("alerts", cfnFile(t, "alerts.yaml")))
	_, err = c.CreateStackSet(ctx, setInput("alerts", cfnFile(t, "alerts.yaml")))
	if diff := cmp.Diff("NameAlreadyExistsException: StackSet alerts already exists", codeAndText(err)); diff != "" {
		t.Error(diff)
	}
	_, err = cfnAdmin(w, cfnAccount).CreateStackSet(ctx, setInput("mine", cfnFile(t, "alerts.yaml")))
	if diff := cmp.Diff("ValidationError: "+notOrgAdministrator, codeAndText(err)); diff != "" {
		t.Error(diff)
	}
}

func TestStackSetOverTheOrganization(t *testing.T) {
	ctx := t.Context()
	// Everything but the management account is below the root: OUs in OUs,
	// a suspended account, and one with a recorder of its own.
	const current, suspended = "CURRENT/SUCCEEDED", "OUTDATED/SKIPPED_SUSPENDED_ACCOUNT"
	setUp := func(t *testing.T) (*World, *cloudformation.Client) {
		w, c := setsWorld(ctx, t)
		createSet(ctx, t, c, setInput("baseline", cfnFile(t, "baseline.yaml")))
		return w, c
	}
	t.Run("within the tolerance it succeeds, and says how many failed", func(t *testing.T) {
		w, c := setUp(t)
		in := instancesIn("baseline", []string{"r-demo"}, cfnRegion)
		in.OperationPreferences.FailureTolerancePercentage, in.OperationPreferences.FailureToleranceCount = nil, aws.Int32(1)
		id := createInstances(ctx, t, c, in)
		o := operationNow(ctx, t, c, "baseline", id)
		if o.Status != types.StackSetOperationStatusSucceeded || *o.StatusDetails.FailedStackInstancesCount != 1 {
			t.Errorf("%s with %d failed", o.Status, *o.StatusDetails.FailedStackInstancesCount)
		}
		want := map[string]string{
			"200000000001": current, "200000000002": current, "300000000001": current, "300000000002": current, "300000000003": current,
			"310000000001": current, "310000000002": current, "400000000001": current, "400000000002": current,
			"500000000001": current, "500000000002": current, legacyLab: "OUTDATED/FAILED", "900000000001": suspended,
		}
		if diff := cmp.Diff(want, instancesNow(ctx, t, c, "baseline")); diff != "" {
			t.Error(diff)
		}
		i, err := c.DescribeStackInstance(ctx, &cloudformation.DescribeStackInstanceInput{StackSetName: aws.String("baseline"), StackInstanceAccount: aws.String(legacyLab), StackInstanceRegion: aws.String(cfnRegion)})
		if err != nil {
			t.Fatal(err)
		}
		reason := aws.ToString(i.StackInstance.StatusReason)
		if !strings.HasPrefix(reason, "ResourceLogicalId:Recorder, ResourceType:AWS::Config::ConfigurationRecorder, ResourceStatusReason:") || !strings.Contains(reason, "MaxNumberOfConfigurationRecordersExceededException") {
			t.Errorf("reason %q", reason)
		}
		if diff := cmp.Diff([]string{"legacy-recorder recording"}, recorders(ctx, t, w, legacyLab)); diff != "" {
			t.Error(diff)
		}
		// The member sees the stack, made by an ordinary role of its own.
		s := deployed(ctx, t, w, "300000000001")
		if s.StackStatus != types.StackStatusCreateComplete || !strings.HasPrefix(*s.StackName, "StackSet-baseline-") {
			t.Errorf("the member's stack is %s, %s", *s.StackName, s.StackStatus)
		}
		if diff := cmp.Diff([]string{"guard recording"}, recorders(ctx, t, w, "300000000001")); diff != "" {
			t.Error(diff)
		}
		roles, err := iam.NewFromConfig(w.Config(cfnRegion, w.RolePrincipal("300000000001", "Admin", "test"))).ListRoles(ctx, &iam.ListRolesInput{})
		if err != nil || !slices.ContainsFunc(roles.Roles, func(r iamtypes.Role) bool { return strings.HasPrefix(*r.RoleName, "stacksets-exec-") }) {
			t.Errorf("no execution role, %v", err)
		}
		failed, err := c.ListStackInstances(ctx, &cloudformation.ListStackInstancesInput{StackSetName: aws.String("baseline"), Filters: []types.StackInstanceFilter{
			{Name: types.StackInstanceFilterNameDetailedStatus, Values: aws.String("FAILED")}, {Name: types.StackInstanceFilterNameLastOperationId, Values: &id}}})
		if err != nil || len(failed.Summaries) != 1 {
			t.Errorf("the filter gives %v, %v", failed, err)
		}
	})
	t.Run("beyond the tolerance the rest is cancelled", func(t *testing.T) {
		_, c := setUp(t)
		in := instancesIn("baseline", []string{"r-demo"}, cfnRegion, "us-east-1")
		in.OperationPreferences = nil
		id := createInstances(ctx, t, c, in)
		if o := operationNow(ctx, t, c, "baseline", id); o.Status != types.StackSetOperationStatusFailed {
			t.Errorf("%s", o.Status)
		}
		got := resultsNow(ctx, t, c, "baseline", id)
		want := []string{"500000000002 ap-northeast-1 SUCCEEDED", legacyLab + " ap-northeast-1 FAILED", "900000000001 ap-northeast-1 CANCELLED", "200000000001 us-east-1 CANCELLED"}
		if diff := cmp.Diff(want, got[10:14]); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("creating again retries what failed", func(t *testing.T) {
		w, c := setUp(t)
		createInstances(ctx, t, c, instancesIn("baseline", []string{unit(t, w, "Sandbox")}, cfnRegion))
		removeRecorder(ctx, t, w)
		id := createInstances(ctx, t, c, instancesIn("baseline", []string{unit(t, w, "Sandbox")}, cfnRegion))
		if o := operationNow(ctx, t, c, "baseline", id); *o.StatusDetails.FailedStackInstancesCount != 0 {
			t.Errorf("results: %v", resultsNow(ctx, t, c, "baseline", id))
		}
		if diff := cmp.Diff([]string{"guard recording"}, recorders(ctx, t, w, legacyLab)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an SCP binds the execution role", func(t *testing.T) {
		w, c := setUp(t)
		org := orgClient(w)
		if err := enableSCPs(ctx, org); err != nil {
			t.Fatal(err)
		}
		p := createSCP(ctx, org, "no-topics", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"sns:CreateTopic","Resource":"*"}]}`)
		if err := attachTo(ctx, org, p.id, cfnAccount); err != nil {
			t.Fatal(err)
		}
		createInstances(ctx, t, c, instancesIn("baseline", []string{unit(t, w, "Sandbox")}, cfnRegion))
		i, err := c.DescribeStackInstance(ctx, &cloudformation.DescribeStackInstanceInput{StackSetName: aws.String("baseline"), StackInstanceAccount: aws.String(cfnAccount), StackInstanceRegion: aws.String(cfnRegion)})
		if err != nil {
			t.Fatal(err)
		}
		if reason := aws.ToString(i.StackInstance.StatusReason); !strings.Contains(reason, "assumed-role/stacksets-exec-") || !strings.Contains(reason, "explicit deny in a service control policy") {
			t.Errorf("reason %q", reason)
		}
		if s := deployed(ctx, t, w, cfnAccount); s.StackStatus != types.StackStatusRollbackComplete {
			t.Errorf("the stack is %s", s.StackStatus)
		}
	})
	t.Run("filters choose accounts of the OUs", func(t *testing.T) {
		w, c := setUp(t)
		for filter, want := range map[types.AccountFilterType]map[string]string{
			types.AccountFilterTypeIntersection: {"500000000001": current},
			types.AccountFilterTypeDifference:   {"500000000001": current, "500000000002": current, legacyLab: "OUTDATED/FAILED"},
		} {
			in := instancesIn("baseline", []string{unit(t, w, "Sandbox")}, cfnRegion)
			in.DeploymentTargets.AccountFilterType = filter
			in.DeploymentTargets.Accounts = []string{"500000000001", "300000000001"}
			if filter == types.AccountFilterTypeIntersection {
				createInstances(ctx, t, c, in)
				if diff := cmp.Diff(want, instancesNow(ctx, t, c, "baseline")); diff != "" {
					t.Error(diff)
				}
			}
		}
		in := instancesIn("baseline", []string{unit(t, w, "Sandbox")}, cfnRegion)
		in.DeploymentTargets.AccountFilterType, in.DeploymentTargets.Accounts = types.AccountFilterTypeDifference, []string{legacyLab}
		createInstances(ctx, t, c, in)
		if diff := cmp.Diff(map[string]string{"500000000001": current, "500000000002": current}, instancesNow(ctx, t, c, "baseline")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a Region that is off in an account fails there", func(t *testing.T) {
		w, c := setUp(t)
		id := createInstances(ctx, t, c, instancesIn("baseline", []string{unit(t, w, "Dev")}, "me-south-1"))
		out, err := c.ListStackSetOperationResults(ctx, &cloudformation.ListStackSetOperationResultsInput{StackSetName: aws.String("baseline"), OperationId: &id})
		if err != nil || out.Summaries[0].Status != types.StackSetOperationResultStatusFailed || *out.Summaries[0].StatusReason != "Region me-south-1 is not enabled in account 310000000001" {
			t.Errorf("%v, %v", out, err)
		}
	})
}

// deployed is the one stack a member account sees.
func deployed(ctx context.Context, t *testing.T, w *World, account string) types.Stack {
	t.Helper()
	out, err := cfnAdmin(w, account).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{})
	if err != nil || len(out.Stacks) != 1 {
		t.Fatalf("%s has %d stacks, %v", account, len(out.Stacks), err)
	}
	return out.Stacks[0]
}

func TestStackSetRequestsAreChecked(t *testing.T) {
	ctx := t.Context()
	w, c := setsWorld(ctx, t)
	createSet(ctx, t, c, setInput("alerts", cfnFile(t, "alerts.yaml")))
	sandbox := []string{unit(t, w, "Sandbox")}
	tests := map[string]struct {
		change func(*cloudformation.CreateStackInstancesInput)
		want   string
	}{
		"accounts instead of OUs": {func(in *cloudformation.CreateStackInstancesInput) {
			in.DeploymentTargets, in.Accounts = nil, []string{cfnAccount}
		}, "ValidationError: StackSets with SERVICE_MANAGED permission model can only have OrganizationalUnit as target"},
		"an OU there is not": {func(in *cloudformation.CreateStackInstancesInput) {
			in.DeploymentTargets.OrganizationalUnitIds = []string{"ou-demo-00000000"}
		}, "ValidationError: Organizational unit ou-demo-00000000 does not exist in the organization"},
		"51 OUs": {func(in *cloudformation.CreateStackInstancesInput) {
			in.DeploymentTargets.OrganizationalUnitIds = slices.Repeat(sandbox, 51)
		}, "ValidationError: The number of OrganizationalUnitIds must be less than or equal to 50"},
		"accounts without a filter": {func(in *cloudformation.CreateStackInstancesInput) {
			in.DeploymentTargets.Accounts = []string{cfnAccount}
		}, "ValidationError: AccountFilterType UNION is not supported for CreateStackInstances"},
		"a Region there is not": {func(in *cloudformation.CreateStackInstancesInput) {
			in.Regions = []string{"mars-1"}
		}, "ValidationError: Region mars-1 is not supported"},
		"an override of a parameter there is not": {func(in *cloudformation.CreateStackInstancesInput) {
			in.ParameterOverrides = []types.Parameter{{ParameterKey: aws.String("Nope"), ParameterValue: aws.String("1")}}
		}, "ValidationError: Parameters: [Nope] do not exist in the template"},
		"a stack set there is not": {func(in *cloudformation.CreateStackInstancesInput) {
			in.StackSetName = aws.String("nope")
		}, "StackSetNotFoundException: StackSet nope not found"},
		"a delegated administrator that is none": {func(in *cloudformation.CreateStackInstancesInput) {
			in.CallAs = types.CallAsDelegatedAdmin
		}, "ValidationError: Account used is not a delegated administrator"},
		"both kinds of tolerance": {func(in *cloudformation.CreateStackInstancesInput) {
			in.OperationPreferences.FailureToleranceCount = aws.Int32(1)
		}, "ValidationError: Only one of FailureToleranceCount or FailureTolerancePercentage can be specified"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := instancesIn("alerts", sandbox, cfnRegion)
			tt.change(in)
			_, err := c.CreateStackInstances(ctx, in)
			if diff := cmp.Diff(tt.want, codeAndText(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("an operation id works once", func(t *testing.T) {
		in := instancesIn("alerts", sandbox, cfnRegion)
		in.OperationId = aws.String("first")
		createInstances(ctx, t, c, in)
		_, err := c.CreateStackInstances(ctx, in)
		if diff := cmp.Diff("OperationIdAlreadyExistsException: The specified operation ID already exists: first", codeAndText(err)); diff != "" {
			t.Error(diff)
		}
		createInstances(ctx, t, c, instancesIn("alerts", sandbox, cfnRegion))
		_, err = c.CreateStackInstances(ctx, in)
		if got := codeAndText(err); !strings.HasPrefix(got, "StaleRequestException: ") {
			t.Error(got)
		}
	})
	t.Run("a stack set with instances stays", func(t *testing.T) {
		_, err := c.DeleteStackSet(ctx, &cloudformation.DeleteStackSetInput{StackSetName: aws.String("alerts")})
		if diff := cmp.Diff("StackSetNotEmptyException: StackSet is not empty", codeAndText(err)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a bad token", func(t *testing.T) {
		_, err := c.ListStackInstances(ctx, &cloudformation.ListStackInstancesInput{StackSetName: aws.String("alerts"), NextToken: aws.String("x")})
		if diff := cmp.Diff("ValidationError: NextToken is invalid", codeAndText(err)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a finished operation cannot be stopped", func(t *testing.T) {
		_, err := c.StopStackSetOperation(ctx, &cloudformation.StopStackSetOperationInput{StackSetName: aws.String("alerts"), OperationId: aws.String("first")})
		if got := codeAndText(err); !strings.HasPrefix(got, "InvalidOperationException: ") {
			t.Error(got)
		}
	})
}

func TestStackSetUpdate(t *testing.T) {
	ctx := t.Context()
	w, c := setsWorld(ctx, t)
	createSet(ctx, t, c, setInput("alerts", cfnFile(t, "alerts.yaml")))
	createInstances(ctx, t, c, instancesIn("alerts", []string{unit(t, w, "Sandbox"), unit(t, w, "Dev")}, cfnRegion))
	changed := strings.Replace(*cfnFile(t, "alerts.yaml"), `"${Prefix}-alerts"`, `"${Prefix}-alarms"`, 1)
	up, err := c.UpdateStackSet(ctx, &cloudformation.UpdateStackSetInput{
		StackSetName: aws.String("alerts"), TemplateBody: &changed, Regions: []string{cfnRegion}, DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{unit(t, w, "Dev")}},
		OperationPreferences: &types.StackSetOperationPreferences{MaxConcurrentCount: aws.Int32(2), FailureToleranceCount: aws.Int32(1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if o := operationNow(ctx, t, c, "alerts", *up.OperationId); o.Status != types.StackSetOperationStatusSucceeded {
		t.Errorf("%s: %v", o.Status, resultsNow(ctx, t, c, "alerts", *up.OperationId))
	}
	const current, outdated = "CURRENT/SUCCEEDED", "OUTDATED/PENDING"
	want := map[string]string{"310000000001": current, "310000000002": current, "500000000001": outdated, "500000000002": outdated, legacyLab: outdated}
	if diff := cmp.Diff(want, instancesNow(ctx, t, c, "alerts")); diff != "" {
		t.Errorf("a canary: %s", diff)
	}
	if diff := cmp.Diff([]string{"guard-alarms"}, topicsIn(ctx, t, w, "310000000001")); diff != "" {
		t.Error(diff)
	}
	t.Run("new instances get the new template", func(t *testing.T) {
		in := instancesIn("alerts", []string{unit(t, w, "Network")}, cfnRegion)
		in.ParameterOverrides = []types.Parameter{{ParameterKey: aws.String("Prefix"), ParameterValue: aws.String("net")}}
		createInstances(ctx, t, c, in)
		if diff := cmp.Diff([]string{"net-alarms"}, topicsIn(ctx, t, w, "400000000001")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an update of everything keeps overrides", func(t *testing.T) {
		_, err := c.UpdateStackSet(ctx, &cloudformation.UpdateStackSetInput{
			StackSetName: aws.String("alerts"), UsePreviousTemplate: aws.Bool(true), Parameters: []types.Parameter{{ParameterKey: aws.String("Prefix"), ParameterValue: aws.String("wall")}}})
		if err != nil {
			t.Fatal(err)
		}
		for account, topic := range map[string]string{"400000000001": "net-alarms", cfnAccount: "wall-alarms", "310000000002": "wall-alarms"} {
			if diff := cmp.Diff([]string{topic}, topicsIn(ctx, t, w, account)); diff != "" {
				t.Errorf("%s: %s", account, diff)
			}
		}
	})
	t.Run("an empty list of overrides takes them away", func(t *testing.T) {
		_, err := c.UpdateStackInstances(ctx, &cloudformation.UpdateStackInstancesInput{
			StackSetName: aws.String("alerts"), Regions: []string{cfnRegion}, DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{unit(t, w, "Network")}}, ParameterOverrides: []types.Parameter{}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"wall-alarms"}, topicsIn(ctx, t, w, "400000000001")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("instances that are not there", func(t *testing.T) {
		_, err := c.UpdateStackInstances(ctx, &cloudformation.UpdateStackInstancesInput{
			StackSetName: aws.String("alerts"), Regions: []string{"us-east-1"}, DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{unit(t, w, "Dev")}}})
		if got := codeAndText(err); !strings.HasPrefix(got, "StackInstanceNotFoundException: ") {
			t.Error(got)
		}
	})
}

// clockedWorld is setsWorld with a clock the test moves and a minute per wave.
func clockedWorld(ctx context.Context, t *testing.T) (*World, *cloudformation.Client, func(time.Duration)) {
	w, c := setsWorld(ctx, t)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w.SetClock(func() time.Time { return now })
	w.SetTiming(Timing{StackInstance: time.Minute})
	return w, c, func(d time.Duration) { now = now.Add(d) }
}

func TestStackSetOperationsTakeTime(t *testing.T) {
	ctx := t.Context()
	status := func(t *testing.T, c *cloudformation.Client, id string) types.StackSetOperationStatus {
		return operationNow(ctx, t, c, "alerts", id).Status
	}
	t.Run("one operation at a time without managed execution", func(t *testing.T) {
		w, c, pass := clockedWorld(ctx, t)
		createSet(ctx, t, c, setInput("alerts", cfnFile(t, "alerts.yaml")))
		id := createInstances(ctx, t, c, instancesIn("alerts", []string{unit(t, w, "Dev")}, cfnRegion))
		if got := status(t, c, id); got != types.StackSetOperationStatusRunning {
			t.Errorf("%s", got)
		}
		want := map[string]string{"310000000001": "OUTDATED/RUNNING", "310000000002": "OUTDATED/RUNNING"}
		if diff := cmp.Diff(want, instancesNow(ctx, t, c, "alerts")); diff != "" {
			t.Error(diff)
		}
		_, err := c.CreateStackInstances(ctx, instancesIn("alerts", []string{unit(t, w, "Network")}, cfnRegion))
		if diff := cmp.Diff("OperationInProgressException: Another Operation on StackSet is in progress: "+id, codeAndText(err)); diff != "" {
			t.Error(diff)
		}
		pass(time.Minute)
		if got := status(t, c, id); got != types.StackSetOperationStatusSucceeded {
			t.Errorf("%s", got)
		}
	})
	t.Run("strict concurrency deploys one account after the other", func(t *testing.T) {
		w, c, pass := clockedWorld(ctx, t)
		createSet(ctx, t, c, setInput("alerts", cfnFile(t, "alerts.yaml")))
		in := instancesIn("alerts", []string{unit(t, w, "Dev")}, cfnRegion, "us-east-1")
		in.OperationPreferences = &types.StackSetOperationPreferences{MaxConcurrentCount: aws.Int32(10), RegionOrder: []string{"us-east-1", cfnRegion}}
		id := createInstances(ctx, t, c, in)
		pass(90 * time.Second)
		want := []string{"310000000001 us-east-1 SUCCEEDED", "310000000002 us-east-1 RUNNING", "310000000001 ap-northeast-1 PENDING", "310000000002 ap-northeast-1 PENDING"}
		if diff := cmp.Diff(want, resultsNow(ctx, t, c, "alerts", id)); diff != "" {
			t.Error(diff)
		}
		if _, err := c.StopStackSetOperation(ctx, &cloudformation.StopStackSetOperationInput{StackSetName: aws.String("alerts"), OperationId: &id}); err != nil {
			t.Fatal(err)
		}
		if got := status(t, c, id); got != types.StackSetOperationStatusStopping {
			t.Errorf("%s", got)
		}
		pass(time.Minute)
		if got := status(t, c, id); got != types.StackSetOperationStatusStopped {
			t.Errorf("%s", got)
		}
		want = []string{"310000000001 us-east-1 SUCCEEDED", "310000000002 us-east-1 SUCCEEDED", "310000000001 ap-northeast-1 CANCELLED", "310000000002 ap-northeast-1 CANCELLED"}
		if diff := cmp.Diff(want, resultsNow(ctx, t, c, "alerts", id)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("parallel Regions share a wave", func(t *testing.T) {
		w, c, pass := clockedWorld(ctx, t)
		createSet(ctx, t, c, setInput("alerts", cfnFile(t, "alerts.yaml")))
		in := instancesIn("alerts", []string{unit(t, w, "Dev")}, cfnRegion, "us-east-1")
		in.OperationPreferences.RegionConcurrencyType = types.RegionConcurrencyTypeParallel
		id := createInstances(ctx, t, c, in)
		pass(time.Minute)
		if got := status(t, c, id); got != types.StackSetOperationStatusSucceeded {
			t.Errorf("%s", got)
		}
	})
	t.Run("managed execution runs what does not conflict and queues the rest", func(t *testing.T) {
		w, c, pass := clockedWorld(ctx, t)
		set := setInput("alerts", cfnFile(t, "alerts.yaml"))
		set.ManagedExecution = &types.ManagedExecution{Active: aws.Bool(true)}
		createSet(ctx, t, c, set)
		dev := createInstances(ctx, t, c, instancesIn("alerts", []string{unit(t, w, "Dev")}, cfnRegion))
		net := createInstances(ctx, t, c, instancesIn("alerts", []string{unit(t, w, "Network")}, cfnRegion))
		up, err := c.UpdateStackSet(ctx, &cloudformation.UpdateStackSetInput{StackSetName: aws.String("alerts"), UsePreviousTemplate: aws.Bool(true), Parameters: []types.Parameter{{ParameterKey: aws.String("Prefix"), ParameterValue: aws.String("wall")}}})
		if err != nil {
			t.Fatal(err)
		}
		again := createInstances(ctx, t, c, instancesIn("alerts", []string{unit(t, w, "Dev")}, cfnRegion))
		all := func() []types.StackSetOperationStatus {
			var got []types.StackSetOperationStatus
			for _, id := range []string{dev, net, *up.OperationId, again} {
				got = append(got, status(t, c, id))
			}
			return got
		}
		const running, queued, done = types.StackSetOperationStatusRunning, types.StackSetOperationStatusQueued, types.StackSetOperationStatusSucceeded
		if diff := cmp.Diff([]types.StackSetOperationStatus{running, running, queued, queued}, all()); diff != "" {
			t.Error(diff)
		}
		_, err = c.UpdateStackSet(ctx, &cloudformation.UpdateStackSetInput{StackSetName: aws.String("alerts"), UsePreviousTemplate: aws.Bool(true), ManagedExecution: &types.ManagedExecution{Active: aws.Bool(false)}})
		if got := codeAndText(err); !strings.HasPrefix(got, "InvalidOperationException: ") {
			t.Error(got)
		}
		pass(time.Minute)
		if diff := cmp.Diff([]types.StackSetOperationStatus{done, done, running, queued}, all()); diff != "" {
			t.Error(diff)
		}
		pass(10 * time.Minute)
		if diff := cmp.Diff([]types.StackSetOperationStatus{done, done, done, done}, all()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"wall-alerts"}, topicsIn(ctx, t, w, "400000000001")); diff != "" {
			t.Error(diff)
		}
	})
}

// removeRecorder takes legacy-lab's own recorder away.
func removeRecorder(ctx context.Context, t *testing.T, w *World) {
	t.Helper()
	c := configservice.NewFromConfig(w.Config(cfnRegion, w.RolePrincipal(legacyLab, "Admin", "test")))
	name := aws.String("legacy-recorder")
	if _, err := c.StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: name}); err != nil {
		t.Fatal(err)
	}
	channels, err := c.DescribeDeliveryChannels(ctx, &configservice.DescribeDeliveryChannelsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range channels.DeliveryChannels {
		if _, err := c.DeleteDeliveryChannel(ctx, &configservice.DeleteDeliveryChannelInput{DeliveryChannelName: ch.Name}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.DeleteConfigurationRecorder(ctx, &configservice.DeleteConfigurationRecorderInput{ConfigurationRecorderName: name}); err != nil {
		t.Fatal(err)
	}
}

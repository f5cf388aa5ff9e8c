package sim

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/orgguard/orgguard/orgs"
)

const trailService = "cloudtrail.amazonaws.com"

// trail is a CloudTrail trail. One of the organization belongs to the management
// account, whoever made it.
type trail struct {
	Name     string            `json:"name"`
	Account  string            `json:"account"`
	Home     string            `json:"home"`     // Region
	Settings types.Trail       `json:"settings"` // as DescribeTrails gives them
	Tags     map[string]string `json:"tags,omitempty"`

	Selectors []types.EventSelector         `json:"selectors,omitempty"`
	Advanced  []types.AdvancedEventSelector `json:"advanced,omitempty"`

	Logging   bool      `json:"logging"`
	Started   time.Time `json:"started,omitzero"`
	Stopped   time.Time `json:"stopped,omitzero"`
	LogsError string    `json:"logs_error,omitempty"` // of the last delivery to CloudWatch Logs
	Delivered time.Time `json:"delivered,omitzero"`   // to CloudWatch Logs
}

func (t *trail) arn() string { return aws.ToString(t.Settings.TrailARN) }

// covers says whether the trail is about an account × Region.
func (w *World) covers(t *trail, account, region string) bool {
	mine := t.Account == account || aws.ToBool(t.Settings.IsOrganizationTrail) && w.state.Org.Accounts[account] != nil
	return mine && (aws.ToBool(t.Settings.IsMultiRegionTrail) || t.Home == region)
}

// trailsOf are the trails about an account × Region, in the order of their ARNs. One of
// the organization shows in all of its accounts, one of all Regions in all of those.
func (w *World) trailsOf(account, region string) []*trail {
	var out []*trail
	for _, arn := range sortedKeys(w.state.Trails) {
		if t := w.state.Trails[arn]; w.covers(t, account, region) {
			out = append(out, t)
		}
	}
	return out
}

// loggingTrails are those of them that are logging.
func (w *World) loggingTrails(account, region string) []*trail {
	return slices.DeleteFunc(w.trailsOf(account, region), func(t *trail) bool { return !t.Logging })
}

// trailARN is the ARN of a trail.
func (w *World) trailARN(account, region, name string) string {
	return "arn:" + w.state.Partition + ":cloudtrail:" + region + ":" + account + ":trail/" + name
}

// seedTrail is the organization trail of a world that was given one: made in the
// console long ago, with a bucket in the management account and little more.
func (w *World) seedTrail(now time.Time) {
	o := &w.state.Org
	home, owner := w.globalRegion(), o.ManagementAccount
	bucket := "aws-cloudtrail-logs-" + owner
	arn := w.trailARN(owner, home, "organization-trail")
	w.setTrustedAccess(trailService, true, now)
	if w.state.Buckets == nil {
		w.state.Buckets = map[string]*bucketState{}
	}
	statement := func(action, resource string) map[string]any {
		return map[string]any{
			"Effect": "Allow", "Principal": map[string]any{"Service": trailService}, "Action": action, "Resource": resource,
			"Condition": map[string]any{"StringEquals": map[string]any{"aws:SourceArn": arn}},
		}
	}
	policy := jsonText(map[string]any{"Version": "2012-10-17", "Statement": []any{
		statement("s3:GetBucketAcl", w.bucketARN(bucket)), statement("s3:PutObject", w.bucketARN(bucket)+"/AWSLogs/*"),
	}})
	w.state.Buckets[bucket] = &bucketState{Name: bucket, Owner: owner, Region: home, Created: now, Policy: policy}
	w.putTrail(&trail{
		Name: "organization-trail", Account: owner, Home: home, Logging: true, Started: now, Selectors: defaultSelectors(),
		Settings: types.Trail{
			Name: aws.String("organization-trail"), HomeRegion: aws.String(home), TrailARN: aws.String(arn), S3BucketName: aws.String(bucket),
			IsMultiRegionTrail: aws.Bool(true), IsOrganizationTrail: aws.Bool(true), IncludeGlobalServiceEvents: aws.Bool(true),
			LogFileValidationEnabled: aws.Bool(false), HasCustomEventSelectors: aws.Bool(false), HasInsightSelectors: aws.Bool(false),
		},
	})
}

func (w *World) putTrail(t *trail) {
	if w.state.Trails == nil {
		w.state.Trails = map[string]*trail{}
	}
	w.state.Trails[t.arn()] = t
}

// defaultSelectors are those of a trail that was given none.
func defaultSelectors() []types.EventSelector {
	return []types.EventSelector{{
		ReadWriteType: types.ReadWriteTypeAll, IncludeManagementEvents: aws.Bool(true), DataResources: []types.DataResource{}, ExcludeManagementEventSources: []string{},
	}}
}

// visible are the trails that show in the call's account × Region.
func (c *call) visible() []*trail { return c.w.trailsOf(c.caller.Account, c.region) }

// manages says whether the call's account may change a trail.
func (c *call) manages(t *trail) bool {
	return c.caller.Account == t.Account || aws.ToBool(t.Settings.IsOrganizationTrail) && c.w.isDelegatedAdmin(c.caller.Account, trailService)
}

// trailNamed finds a trail of the call by name or ARN. A name means a trail of the
// Region and of the account, or of the organization to those who manage it.
func (c *call) trailNamed(ref *string) (*trail, error) {
	name := aws.ToString(ref)
	if strings.HasPrefix(name, "arn:") {
		if service, _, _, resource, ok := arnParts(name); !ok || service != "cloudtrail" || !strings.HasPrefix(resource, "trail/") {
			return nil, &types.CloudTrailARNInvalidException{Message: aws.String("Trail ARN is not valid: " + name)}
		}
		if t := c.w.state.Trails[name]; t != nil && c.w.covers(t, c.caller.Account, c.region) {
			return t, nil
		}
	} else {
		for _, t := range c.visible() {
			if t.Name == name && t.Home == c.region && c.manages(t) {
				return t, nil
			}
		}
	}
	return nil, &types.TrailNotFoundException{Message: aws.String("Unknown trail: " + name + " for the user: " + c.caller.Account)}
}

// trailToChange is trailNamed for changes: at the trail's home Region, by its owner or
// a delegated administrator.
func (c *call) trailToChange(ref *string) (*trail, error) {
	t, err := c.trailNamed(ref)
	switch {
	case err != nil:
		return nil, err
	case !c.manages(t):
		return nil, &types.NotOrganizationMasterAccountException{Message: aws.String("This operation can be called only by the management account of the organization or a delegated administrator.")}
	case t.Home != c.region:
		return nil, &types.InvalidHomeRegionException{Message: aws.String("The request must be made in the home Region of the trail: " + t.Home)}
	}
	return t, nil
}

func describeTrails(c *call, in *cloudtrail.DescribeTrailsInput) (*cloudtrail.DescribeTrailsOutput, error) {
	out := &cloudtrail.DescribeTrailsOutput{TrailList: []types.Trail{}}
	for _, t := range c.visible() {
		shadow := t.Home != c.region || t.Account != c.caller.Account
		if shadow && in.IncludeShadowTrails != nil && !*in.IncludeShadowTrails {
			continue
		}
		if len(in.TrailNameList) == 0 || slices.Contains(in.TrailNameList, t.arn()) || slices.Contains(in.TrailNameList, t.Name) && !shadow {
			out.TrailList = append(out.TrailList, detach(t.Settings))
		}
	}
	return out, nil
}

func getTrail(c *call, in *cloudtrail.GetTrailInput) (*cloudtrail.GetTrailOutput, error) {
	t, err := c.trailNamed(in.Name)
	if err != nil {
		return nil, err
	}
	settings := detach(t.Settings)
	return &cloudtrail.GetTrailOutput{Trail: &settings}, nil
}

func listTrails(c *call, in *cloudtrail.ListTrailsInput) (*cloudtrail.ListTrailsOutput, error) {
	var all []types.TrailInfo
	for _, arn := range sortedKeys(c.w.state.Trails) {
		t := c.w.state.Trails[arn]
		if c.w.covers(t, c.caller.Account, t.Home) {
			all = append(all, types.TrailInfo{Name: aws.String(t.Name), HomeRegion: aws.String(t.Home), TrailARN: aws.String(arn)})
		}
	}
	page, next, ok := pageOf(c, all, 100, in.NextToken)
	if !ok {
		return nil, &types.InvalidTokenException{Message: aws.String("Invalid NextToken.")}
	}
	return &cloudtrail.ListTrailsOutput{Trails: page, NextToken: next}, nil
}

// getTrailStatus tries a delivery to the bucket, which CloudTrail does every few
// minutes.
func getTrailStatus(c *call, in *cloudtrail.GetTrailStatusInput) (*cloudtrail.GetTrailStatusOutput, error) {
	t, err := c.trailNamed(in.Name)
	if err != nil {
		return nil, err
	}
	out := &cloudtrail.GetTrailStatusOutput{IsLogging: aws.Bool(t.Logging)}
	if !t.Started.IsZero() {
		out.StartLoggingTime = aws.Time(t.Started)
	}
	if !t.Stopped.IsZero() {
		out.StopLoggingTime = aws.Time(t.Stopped)
	}
	if t.Logging {
		out.LatestDeliveryAttemptTime = aws.String(c.now.UTC().Format(time.RFC3339))
		if why := c.w.storeError(t, c.now); why != "" {
			out.LatestDeliveryError = aws.String(why)
		} else {
			out.LatestDeliveryTime = aws.Time(c.now)
		}
	}
	if t.LogsError != "" {
		out.LatestCloudWatchLogsDeliveryError = aws.String(t.LogsError)
	}
	if !t.Delivered.IsZero() {
		out.LatestCloudWatchLogsDeliveryTime = aws.Time(t.Delivered)
	}
	return out, nil
}

// storeError is why log files cannot be delivered: the S3 error code that the trail's
// status shows; "" when they can.
func (w *World) storeError(t *trail, now time.Time) string {
	b := w.state.Buckets[aws.ToString(t.Settings.S3BucketName)]
	switch {
	case b == nil:
		return "NoSuchBucket"
	case w.storeRefuses(t, b, now) != "":
		return "AccessDenied"
	}
	if key := aws.ToString(t.Settings.KmsKeyId); key != "" && !w.keyAdmitsTrail(t, key, now) {
		return "KMS.AccessDenied"
	}
	return ""
}

// storeRefuses names the action with which a bucket's policy does not admit CloudTrail
// for a trail; "" when it does.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
func (w *World) storeRefuses(t *trail, b *bucketState, now time.Time) string {
	ctx := w.serviceContext(trailService, t.Account, t.arn(), now)
	who := servicePrincipal(trailService, t.Account)
	if w.judge(b.Policy, policyRequest{who, "s3:GetBucketAcl", w.bucketARN(b.Name), ctx}) != allows {
		return "s3:GetBucketAcl"
	}
	prefix := ""
	if p := aws.ToString(t.Settings.S3KeyPrefix); p != "" {
		prefix = p + "/"
	}
	ctx["s3:x-amz-acl"] = []string{"bucket-owner-full-control"}
	folders := []string{"AWSLogs/" + t.Account}
	if aws.ToBool(t.Settings.IsOrganizationTrail) {
		folders = append(folders, "AWSLogs/"+w.state.Org.ID)
	}
	for _, folder := range folders {
		object := w.bucketARN(b.Name) + "/" + prefix + folder + "/CloudTrail/"
		if w.judge(b.Policy, policyRequest{who, "s3:PutObject", object, ctx}) != allows {
			return "s3:PutObject"
		}
	}
	return ""
}

// keyAdmitsTrail says whether a key lets CloudTrail encrypt a trail's log files.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
func (w *World) keyAdmitsTrail(t *trail, ref string, now time.Time) bool {
	_, region, owner, _, _ := arnParts(ref)
	k, arn := w.findKey(owner, region, ref)
	if k == nil || !k.Enabled || !k.Deletion.IsZero() {
		return false
	}
	ctx := w.serviceContext(trailService, t.Account, t.arn(), now)
	who := servicePrincipal(trailService, t.Account)
	if w.judge(k.Policy, policyRequest{who, "kms:DescribeKey", arn, ctx}) != allows {
		return false
	}
	ctx["kms:EncryptionContext:aws:cloudtrail:arn"] = []string{t.arn()}
	return w.judge(k.Policy, policyRequest{who, "kms:GenerateDataKey", arn, ctx}) == allows
}

// trailName is what a trail may be called.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html
var trailName = orgs.NewPattern(`^[a-zA-Z0-9](?:[._-]?[a-zA-Z0-9])+$`)

// maxTrails is how many trails a Region may have.
const maxTrails = 5

func createTrail(c *call, in *cloudtrail.CreateTrailInput) (*cloudtrail.CreateTrailOutput, error) {
	name, o := aws.ToString(in.Name), &c.w.state.Org
	if len(name) < 3 || len(name) > 128 || !trailName.MatchString(name) {
		return nil, &types.InvalidTrailNameException{Message: aws.String("Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), and underscores (_).")}
	}
	t := &trail{Name: name, Account: c.caller.Account, Home: c.region, Selectors: defaultSelectors(), Tags: map[string]string{}}
	if aws.ToBool(in.IsOrganizationTrail) {
		if err := c.mayOrganize(); err != nil {
			return nil, err
		}
		t.Account = o.ManagementAccount
	}
	arn := c.w.trailARN(t.Account, c.region, name)
	if c.w.state.Trails[arn] != nil {
		return nil, &types.TrailAlreadyExistsException{Message: aws.String("Trail " + name + " already exists for customer: " + t.Account)}
	}
	count := 0
	for _, other := range c.w.state.Trails {
		if other.Account == t.Account && (other.Home == c.region || aws.ToBool(other.Settings.IsMultiRegionTrail)) {
			count++
		}
	}
	if count >= maxTrails {
		return nil, &types.MaximumNumberOfTrailsExceededException{Message: aws.String("User: " + t.Account + " already has 5 trails in " + c.region + ".")}
	}
	t.Settings = types.Trail{
		Name: aws.String(name), HomeRegion: aws.String(c.region), TrailARN: aws.String(arn),
		IncludeGlobalServiceEvents: aws.Bool(in.IncludeGlobalServiceEvents == nil || *in.IncludeGlobalServiceEvents),
		IsMultiRegionTrail:         aws.Bool(false), IsOrganizationTrail: aws.Bool(false), LogFileValidationEnabled: aws.Bool(false),
		HasCustomEventSelectors: aws.Bool(false), HasInsightSelectors: aws.Bool(false),
	}
	change := &cloudtrail.UpdateTrailInput{
		S3BucketName: in.S3BucketName, S3KeyPrefix: in.S3KeyPrefix, KmsKeyId: in.KmsKeyId, CloudWatchLogsLogGroupArn: in.CloudWatchLogsLogGroupArn,
		CloudWatchLogsRoleArn: in.CloudWatchLogsRoleArn, EnableLogFileValidation: in.EnableLogFileValidation, IncludeGlobalServiceEvents: in.IncludeGlobalServiceEvents,
		IsMultiRegionTrail: in.IsMultiRegionTrail, IsOrganizationTrail: in.IsOrganizationTrail, SnsTopicName: in.SnsTopicName,
	}
	if err := c.changeTrail(t, change); err != nil {
		return nil, err
	}
	for _, tag := range in.TagsList {
		t.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	c.w.putTrail(t)
	s := t.Settings
	return &cloudtrail.CreateTrailOutput{
		Name: s.Name, TrailARN: s.TrailARN, S3BucketName: s.S3BucketName, S3KeyPrefix: s.S3KeyPrefix, KmsKeyId: s.KmsKeyId, CloudWatchLogsLogGroupArn: s.CloudWatchLogsLogGroupArn,
		CloudWatchLogsRoleArn: s.CloudWatchLogsRoleArn, IncludeGlobalServiceEvents: s.IncludeGlobalServiceEvents, IsMultiRegionTrail: s.IsMultiRegionTrail,
		IsOrganizationTrail: s.IsOrganizationTrail, LogFileValidationEnabled: s.LogFileValidationEnabled,
	}, nil
}

// mayOrganize refuses accounts that may not have a trail of the organization.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/creating-trail-organization.html
func (c *call) mayOrganize() error {
	o := &c.w.state.Org
	switch {
	case c.w.state.Org.FeatureSet != "ALL":
		return &types.OrganizationNotInAllFeaturesModeException{Message: aws.String("The organization does not have all features enabled.")}
	case c.caller.Account != o.ManagementAccount && !c.w.isDelegatedAdmin(c.caller.Account, trailService):
		return &types.NotOrganizationMasterAccountException{Message: aws.String("Only the management account or a delegated administrator can create an organization trail.")}
	case !c.w.trustedAccess(trailService):
		return &types.CloudTrailAccessNotEnabledException{Message: aws.String("Trusted access for CloudTrail is not enabled in AWS Organizations.")}
	}
	return nil
}

// changeTrail applies what is given of an update, and checks the whole.
func (c *call) changeTrail(t *trail, in *cloudtrail.UpdateTrailInput) error {
	s := detach(t.Settings)
	for _, f := range []struct {
		given *bool
		into  **bool
	}{
		{in.IncludeGlobalServiceEvents, &s.IncludeGlobalServiceEvents}, {in.IsMultiRegionTrail, &s.IsMultiRegionTrail},
		{in.IsOrganizationTrail, &s.IsOrganizationTrail}, {in.EnableLogFileValidation, &s.LogFileValidationEnabled},
	} {
		if f.given != nil {
			*f.into = aws.Bool(*f.given)
		}
	}
	for _, f := range []struct {
		given *string
		into  **string
	}{
		{in.S3BucketName, &s.S3BucketName}, {in.S3KeyPrefix, &s.S3KeyPrefix}, {in.KmsKeyId, &s.KmsKeyId},
		{in.CloudWatchLogsLogGroupArn, &s.CloudWatchLogsLogGroupArn}, {in.CloudWatchLogsRoleArn, &s.CloudWatchLogsRoleArn},
	} {
		switch {
		case f.given == nil:
		case *f.given == "": // takes the setting away
			*f.into = nil
		default:
			*f.into = aws.String(*f.given)
		}
	}
	if aws.ToBool(s.IsMultiRegionTrail) && !aws.ToBool(s.IncludeGlobalServiceEvents) {
		return &types.InvalidParameterCombinationException{Message: aws.String("Multi-Region trail must include global service events.")}
	}
	next := *t
	next.Settings = s
	for _, check := range []func(*trail) error{c.checkStore, c.checkTrailKey, c.checkTrailLogs} {
		if err := check(&next); err != nil {
			return err
		}
	}
	t.Settings = next.Settings
	return nil
}

func (c *call) checkStore(t *trail) error {
	name := aws.ToString(t.Settings.S3BucketName)
	b := c.w.state.Buckets[name]
	switch {
	case b == nil:
		return &types.S3BucketDoesNotExistException{Message: aws.String("S3 bucket " + name + " does not exist!")}
	case c.w.storeRefuses(t, b, c.now) != "":
		return &types.InsufficientS3BucketPolicyException{Message: aws.String("Incorrect S3 bucket policy is detected for bucket: " + name)}
	}
	return nil
}

// checkTrailKey also makes the key's ARN of whatever names it.
func (c *call) checkTrailKey(t *trail) error {
	ref := aws.ToString(t.Settings.KmsKeyId)
	if ref == "" {
		return nil
	}
	k, arn := c.w.findKey(c.caller.Account, c.region, ref)
	_, region, _, _, _ := arnParts(arn)
	switch {
	case k == nil, region != c.w.state.Buckets[aws.ToString(t.Settings.S3BucketName)].Region:
		return &types.KmsKeyNotFoundException{Message: aws.String("KMS key " + ref + " does not exist, or is not in the Region of the S3 bucket.")}
	case !k.Enabled || !k.Deletion.IsZero():
		return &types.KmsException{Message: aws.String("KMS key " + arn + " is disabled.")}
	case !c.w.keyAdmitsTrail(t, arn, c.now):
		return &types.InsufficientEncryptionPolicyException{Message: aws.String("Insufficient permissions to access S3 bucket or KMS key.")}
	}
	t.Settings.KmsKeyId = aws.String(arn)
	return nil
}

func (c *call) checkTrailLogs(t *trail) error {
	group, role := aws.ToString(t.Settings.CloudWatchLogsLogGroupArn), aws.ToString(t.Settings.CloudWatchLogsRoleArn)
	switch {
	case group == "" && role == "":
		return nil
	case group == "":
		return &types.InvalidCloudWatchLogsLogGroupArnException{Message: aws.String("You must specify both a log group ARN and a role ARN.")}
	case role == "":
		return &types.InvalidCloudWatchLogsRoleArnException{Message: aws.String("You must specify both a log group ARN and a role ARN.")}
	}
	if g, account, region := c.w.groupAt(group); g == nil || !strings.HasSuffix(group, ":*") || region != t.Home || account != c.caller.Account {
		return &types.InvalidCloudWatchLogsLogGroupArnException{Message: aws.String("CloudTrail cannot find the log group " + group + " in the account and the trail's home Region.")}
	}
	if err := c.passRole(role); err != nil {
		return err
	}
	if why := c.w.logsRefused(t, c.now); why != "" {
		return &types.InvalidCloudWatchLogsRoleArnException{Message: aws.String("Access denied. Check the permissions for your role. (" + why + ")")}
	}
	return nil
}

func updateTrail(c *call, in *cloudtrail.UpdateTrailInput) (*cloudtrail.UpdateTrailOutput, error) {
	t, err := c.trailToChange(in.Name)
	if err != nil {
		return nil, err
	}
	if in.IsOrganizationTrail != nil && *in.IsOrganizationTrail {
		if err := c.mayOrganize(); err != nil {
			return nil, err
		}
	}
	if err := c.changeTrail(t, in); err != nil {
		return nil, err
	}
	s := t.Settings
	return &cloudtrail.UpdateTrailOutput{
		Name: s.Name, TrailARN: s.TrailARN, S3BucketName: s.S3BucketName, KmsKeyId: s.KmsKeyId, CloudWatchLogsLogGroupArn: s.CloudWatchLogsLogGroupArn,
		CloudWatchLogsRoleArn: s.CloudWatchLogsRoleArn, IncludeGlobalServiceEvents: s.IncludeGlobalServiceEvents, IsMultiRegionTrail: s.IsMultiRegionTrail,
		IsOrganizationTrail: s.IsOrganizationTrail, LogFileValidationEnabled: s.LogFileValidationEnabled,
	}, nil
}

func deleteTrail(c *call, in *cloudtrail.DeleteTrailInput) (*cloudtrail.DeleteTrailOutput, error) {
	t, err := c.trailToChange(in.Name)
	if err != nil {
		return nil, err
	}
	delete(c.w.state.Trails, t.arn())
	return &cloudtrail.DeleteTrailOutput{}, nil
}

func startLogging(c *call, in *cloudtrail.StartLoggingInput) (*cloudtrail.StartLoggingOutput, error) {
	t, err := c.trailToChange(in.Name)
	if err != nil {
		return nil, err
	}
	if !t.Logging {
		t.Logging, t.Started = true, c.now
	}
	return &cloudtrail.StartLoggingOutput{}, nil
}

// stopLogging stops a trail. The call itself is still logged, and so EventBridge
// hears of it; see record.
func stopLogging(c *call, in *cloudtrail.StopLoggingInput) (*cloudtrail.StopLoggingOutput, error) {
	t, err := c.trailToChange(in.Name)
	if err != nil {
		return nil, err
	}
	if t.Logging {
		t.Logging, t.Stopped = false, c.now
	}
	return &cloudtrail.StopLoggingOutput{}, nil
}

func getEventSelectors(c *call, in *cloudtrail.GetEventSelectorsInput) (*cloudtrail.GetEventSelectorsOutput, error) {
	t, err := c.trailNamed(in.TrailName)
	if err != nil {
		return nil, err
	}
	return &cloudtrail.GetEventSelectorsOutput{TrailARN: aws.String(t.arn()), EventSelectors: detach(t.Selectors), AdvancedEventSelectors: detach(t.Advanced)}, nil
}

// putEventSelectors replaces the selectors: basic and advanced ones exclude each other.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_PutEventSelectors.html
func putEventSelectors(c *call, in *cloudtrail.PutEventSelectorsInput) (*cloudtrail.PutEventSelectorsOutput, error) {
	t, err := c.trailToChange(in.TrailName)
	if err != nil {
		return nil, err
	}
	bad := func(why string) error { return &types.InvalidEventSelectorsException{Message: aws.String(why)} }
	switch basic, advanced := len(in.EventSelectors), len(in.AdvancedEventSelectors); {
	case basic > 0 && advanced > 0:
		return nil, bad("You can't use both event selectors and advanced event selectors.")
	case basic == 0 && advanced == 0:
		return nil, bad("Specify event selectors.")
	case basic > 5:
		return nil, bad("You can specify up to five event selectors.")
	}
	for _, s := range in.EventSelectors {
		if s.IncludeManagementEvents != nil && !*s.IncludeManagementEvents && len(s.DataResources) == 0 {
			return nil, bad("An event selector must select something.")
		}
		for _, source := range s.ExcludeManagementEventSources {
			if !slices.Contains([]string{"kms.amazonaws.com", "rdsdata.amazonaws.com"}, source) {
				return nil, bad("ExcludeManagementEventSources can be kms.amazonaws.com or rdsdata.amazonaws.com.")
			}
		}
	}
	for _, s := range in.AdvancedEventSelectors {
		if !slices.ContainsFunc(s.FieldSelectors, func(f types.AdvancedFieldSelector) bool { return aws.ToString(f.Field) == "eventCategory" }) {
			return nil, bad("An advanced event selector must have the field eventCategory.")
		}
	}
	t.Selectors, t.Advanced = detach(in.EventSelectors), detach(in.AdvancedEventSelectors)
	for i := range t.Selectors {
		s := &t.Selectors[i]
		if s.IncludeManagementEvents == nil {
			s.IncludeManagementEvents = aws.Bool(true)
		}
		if s.ReadWriteType == "" {
			s.ReadWriteType = types.ReadWriteTypeAll
		}
	}
	t.Settings.HasCustomEventSelectors = aws.Bool(jsonText(t.Selectors) != jsonText(defaultSelectors()))
	return &cloudtrail.PutEventSelectorsOutput{TrailARN: aws.String(t.arn()), EventSelectors: detach(t.Selectors), AdvancedEventSelectors: detach(t.Advanced)}, nil
}

// selects says whether a trail logs a management event.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-management-events-with-cloudtrail.html
func (t *trail) selects(source string, readOnly bool) bool {
	for _, s := range t.Selectors {
		kind := s.ReadWriteType == types.ReadWriteTypeAll || readOnly == (s.ReadWriteType == types.ReadWriteTypeReadOnly)
		if aws.ToBool(s.IncludeManagementEvents) && kind && !slices.Contains(s.ExcludeManagementEventSources, source) {
			return true
		}
	}
	values := map[string]string{"eventCategory": "Management", "readOnly": "false", "eventSource": source}
	if readOnly {
		values["readOnly"] = "true"
	}
	return slices.ContainsFunc(t.Advanced, func(s types.AdvancedEventSelector) bool {
		return !slices.ContainsFunc(s.FieldSelectors, func(f types.AdvancedFieldSelector) bool { return !fieldSelects(f, values[aws.ToString(f.Field)]) })
	})
}

// fieldSelects evaluates the operators that management events may be selected with.
func fieldSelects(f types.AdvancedFieldSelector, value string) bool {
	switch {
	case len(f.Equals) > 0:
		return slices.Contains(f.Equals, value)
	case len(f.NotEquals) > 0:
		return !slices.Contains(f.NotEquals, value)
	case len(f.StartsWith) > 0:
		return slices.ContainsFunc(f.StartsWith, func(p string) bool { return strings.HasPrefix(value, p) })
	}
	return false
}

func listTrailTags(c *call, in *cloudtrail.ListTagsInput) (*cloudtrail.ListTagsOutput, error) {
	out := &cloudtrail.ListTagsOutput{}
	for _, arn := range in.ResourceIdList {
		t, err := c.trailNamed(&arn)
		if err != nil {
			return nil, err
		}
		out.ResourceTagList = append(out.ResourceTagList, types.ResourceTag{
			ResourceId: aws.String(arn), TagsList: tagsOf(t.Tags, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} }),
		})
	}
	return out, nil
}

func addTrailTags(c *call, in *cloudtrail.AddTagsInput) (*cloudtrail.AddTagsOutput, error) {
	t, err := c.trailToChange(in.ResourceId)
	if err != nil {
		return nil, err
	}
	if t.Tags == nil {
		t.Tags = map[string]string{}
	}
	for _, tag := range in.TagsList {
		t.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return &cloudtrail.AddTagsOutput{}, nil
}

func removeTrailTags(c *call, in *cloudtrail.RemoveTagsInput) (*cloudtrail.RemoveTagsOutput, error) {
	t, err := c.trailToChange(in.ResourceId)
	if err != nil {
		return nil, err
	}
	for _, tag := range in.TagsList {
		delete(t.Tags, aws.ToString(tag.Key))
	}
	return &cloudtrail.RemoveTagsOutput{}, nil
}

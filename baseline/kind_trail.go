package baseline

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgguard/orgguard/orgs"
)

// controlTowerTrail is the trail that Control Tower manages and that nobody else
// should touch.
const controlTowerTrail = "aws-controltower-BaselineCloudTrail"

// trailState is the organization's trail, whatever it is called: orgguard's own, or,
// where that is not there, somebody else's.
type trailState struct {
	Name, ARN, Home string
	MultiRegion     bool
	GlobalEvents    bool
	Validation      bool
	Organization    bool
	Bucket, Key     string
	SameKey         bool // Key is the template's by another name
	LogGroup        string
	Logging         bool
	StoreError      string // of the last delivery to the bucket
	LogsError       string // of the last delivery to the log group
	Selectors       []types.EventSelector
	Advanced        []types.AdvancedEventSelector
	Others          []string // further organization trails, by name
	Settings        types.Trail
}

func (t trailState) foreign() bool { return t.Name != ownTrail }

var trailKind = kind{
	noun:       "trail",
	nameProp:   "TrailName",
	attributes: map[string]string{"Ref": "{name}"},
	observe:    observeTrail,
	compare:    compareTrail,
	repair:     repairTrail,
	finish:     startTrail,
}

// observeTrail looks for a trail of the organization among those that show in the
// account: one shows in every account of it, with its home Region.
func observeTrail(ctx context.Context, s site, r Resource) (any, error) {
	out, err := s.CloudTrail.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{IncludeShadowTrails: aws.Bool(true)}, s.at.CloudTrail)
	if err != nil {
		return nil, fmt.Errorf("describe the trails: %w", err)
	}
	var own, others []types.Trail
	for _, t := range out.TrailList {
		switch name := aws.ToString(t.Name); {
		case name == r.str("TrailName") && aws.ToString(t.HomeRegion) == s.at.Region: // by somebody's hand perhaps not of the organization any more
			own = append(own, t)
		case aws.ToBool(t.IsOrganizationTrail):
			others = append(others, t)
		}
	}
	// The best of several first: one that is not multi-Region can hardly be meant.
	slices.SortStableFunc(others, func(a, b types.Trail) int {
		if x, y := aws.ToBool(a.IsMultiRegionTrail), aws.ToBool(b.IsMultiRegionTrail); x != y {
			return map[bool]int{true: -1, false: 1}[x]
		}
		return strings.Compare(aws.ToString(a.TrailARN), aws.ToString(b.TrailARN))
	})
	all := slices.Concat(own, others)
	if len(all) == 0 {
		return nil, nil
	}
	st := trailOf(all[0])
	for _, t := range all[1:] {
		st.Others = append(st.Others, aws.ToString(t.Name))
	}
	return st, s.readTrail(ctx, r, &st)
}

func trailOf(t types.Trail) trailState {
	return trailState{
		Name: aws.ToString(t.Name), ARN: aws.ToString(t.TrailARN), Home: aws.ToString(t.HomeRegion), MultiRegion: aws.ToBool(t.IsMultiRegionTrail),
		GlobalEvents: aws.ToBool(t.IncludeGlobalServiceEvents), Validation: aws.ToBool(t.LogFileValidationEnabled), Organization: aws.ToBool(t.IsOrganizationTrail),
		Bucket: aws.ToString(t.S3BucketName), Key: aws.ToString(t.KmsKeyId), LogGroup: aws.ToString(t.CloudWatchLogsLogGroupArn), Settings: t,
	}
}

// readTrail reads what DescribeTrails does not tell.
func (s site) readTrail(ctx context.Context, r Resource, st *trailState) error {
	status, err := s.CloudTrail.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String(st.ARN)}, s.at.InRegion(st.Home).CloudTrail)
	if err != nil {
		return fmt.Errorf("get the status of trail %s: %w", st.Name, err)
	}
	st.Logging, st.StoreError, st.LogsError = aws.ToBool(status.IsLogging), aws.ToString(status.LatestDeliveryError), aws.ToString(status.LatestCloudWatchLogsDeliveryError)
	selectors, err := s.CloudTrail.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: aws.String(st.ARN)}, s.at.InRegion(st.Home).CloudTrail)
	if err != nil {
		return fmt.Errorf("get the event selectors of trail %s: %w", st.Name, err)
	}
	st.Selectors, st.Advanced = selectors.EventSelectors, selectors.AdvancedEventSelectors
	if want := r.str("KMSKeyId"); st.Key != "" && st.Key != want && !st.foreign() {
		if st.SameKey, err = s.sameKeyElsewhere(ctx, want, st.Key); err != nil {
			return err
		}
	}
	return nil
}

// sameKeyElsewhere says whether the ARN of an alias, in whatever account and Region,
// means the key with the other ARN. It is asked for in the key's own account, so that
// its policy need not let others look.
func (s site) sameKeyElsewhere(ctx context.Context, alias, key string) (bool, error) {
	parts := strings.SplitN(alias, ":", 6)
	if len(parts) != 6 {
		return false, nil
	}
	at := s.In(orgs.PartitionOf(parts[3]), orgs.AccountID(parts[4]), parts[3])
	out, err := s.KMS.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(parts[5])}, at.KMS)
	if notFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("describe key %s: %w", alias, err)
	}
	return aws.ToString(out.KeyMetadata.Arn) == key, nil
}

// compareTrail asks of somebody else's trail what must hold, and leaves it its bucket,
// its key and its data events.
func compareTrail(r Resource, state any) []Mismatch {
	st := state.(trailState)
	var out []Mismatch
	if !st.Logging {
		out = append(out, Mismatch{Reason: "the trail is stopped", Verb: "start", Expected: map[string]any{"logging": true}, Actual: map[string]any{"logging": false}})
	}
	for _, f := range []struct {
		have bool
		why  string
		key  string
	}{
		{st.Organization, "the trail is not the organization's any more", "organization"},
		{st.MultiRegion, "the trail records one Region only", "multi_region"},
		{st.GlobalEvents, "the trail does not record global services", "global_services"},
		{st.Validation, "the trail's log files are not validated", "log_file_validation"},
	} {
		if !f.have {
			out = append(out, Mismatch{Reason: f.why, Expected: map[string]any{f.key: true}, Actual: map[string]any{f.key: false}})
		}
	}
	if !st.recordsManagement() {
		out = append(out, Mismatch{
			Reason: "the trail does not record all management events", Expected: "management events, reads and writes, of every service",
			Actual: describeSelectors(st),
		})
	}
	out = append(out, compareTrailStore(r, st)...)
	out = append(out, compareTrailLogs(r, st)...)
	for _, other := range st.Others {
		out = append(out, Mismatch{
			Reason: "there is another organization trail: " + other, Expected: []string{st.Name}, Actual: append([]string{st.Name}, st.Others...),
			Manual: "delete one of them: CloudTrail charges for the second copy of management events", Waits: true,
		})
	}
	return out
}

func compareTrailStore(r Resource, st trailState) []Mismatch {
	var out []Mismatch
	want := r.str("KMSKeyId")
	switch {
	case st.foreign() && st.Key == "":
		out = append(out, Mismatch{
			Reason: "the trail's log files are not encrypted with a KMS key", Expected: "a KMS key", Actual: nil,
			Manual: "give the trail " + st.Name + " a key in the Region of its bucket " + st.Bucket,
		})
	case st.foreign():
	case st.Key == "":
		out = append(out, Mismatch{Reason: "the trail's log files are not encrypted with a KMS key", Expected: want, Actual: nil})
	case st.Key != want && !st.SameKey:
		out = append(out, Mismatch{Reason: "the trail's log files are encrypted with another key", Expected: want, Actual: st.Key})
	}
	if bucket := r.str("S3BucketName"); !st.foreign() && bucket != st.Bucket {
		out = append(out, Mismatch{Reason: "the trail delivers to another bucket", Expected: bucket, Actual: st.Bucket})
	}
	if st.Logging && st.StoreError != "" {
		out = append(out, Mismatch{
			Reason: "the trail's log files do not arrive", Expected: "delivered", Actual: st.StoreError,
			Manual: "mend the policies of bucket " + st.Bucket + " and of its key: the next rollout does where they are orgguard's",
		})
	}
	return out
}

func compareTrailLogs(r Resource, st trailState) []Mismatch {
	want := r.str("CloudWatchLogsLogGroupArn")
	_, _, region := arnOf(want)
	switch {
	case st.LogGroup == "" && st.Home != region:
		return []Mismatch{{
			Reason: "the trail delivers to no log group", Expected: want, Actual: nil,
			Manual: fmt.Sprintf("a log group must be in the trail's home Region: cloudtrail: {region: %s}", st.Home),
		}}
	case st.LogGroup == "":
		return []Mismatch{{Reason: "the trail delivers to no log group", Expected: want, Actual: nil}}
	case st.LogGroup != want && st.foreign():
		group, _, region := arnOf(st.LogGroup)
		return []Mismatch{{
			Reason: "the trail delivers to a log group that the configuration does not name", Expected: want, Actual: st.LogGroup,
			Manual: fmt.Sprintf("say so in orgguard.yaml: cloudtrail: {region: %s, log_group: %s}", region, group),
		}}
	case st.LogGroup != want:
		return []Mismatch{{Reason: "the trail delivers to another log group", Expected: want, Actual: st.LogGroup}}
	case st.LogsError != "":
		return []Mismatch{{
			Reason: "the trail's events do not arrive in the log group", Expected: "delivered", Actual: st.LogsError,
			Manual: "mend the role with which CloudTrail writes: the next rollout does where it is orgguard's",
		}}
	}
	return nil
}

// arnOf takes the ARN of a log group apart.
func arnOf(arn string) (group, account, region string) {
	parts := strings.SplitN(strings.TrimSuffix(arn, ":*"), ":", 7)
	if len(parts) < 7 {
		return arn, "", ""
	}
	return parts[6], parts[4], parts[3]
}

// recordsManagement says whether one of the trail's selectors takes all management
// events, reads and writes, of every service.
func (t trailState) recordsManagement() bool {
	return slices.ContainsFunc(t.Selectors, wholeSelector) || slices.ContainsFunc(t.Advanced, func(s types.AdvancedEventSelector) bool {
		return managementSelector(s) && len(s.FieldSelectors) == 1
	})
}

func wholeSelector(s types.EventSelector) bool {
	return aws.ToBool(s.IncludeManagementEvents) && s.ReadWriteType == types.ReadWriteTypeAll && len(s.ExcludeManagementEventSources) == 0
}

// managementSelector says whether an advanced selector is about management events.
func managementSelector(s types.AdvancedEventSelector) bool {
	return slices.ContainsFunc(s.FieldSelectors, func(f types.AdvancedFieldSelector) bool {
		return aws.ToString(f.Field) == "eventCategory" && slices.Contains(f.Equals, "Management")
	})
}

func describeSelectors(t trailState) any {
	if len(t.Advanced) > 0 {
		return fromJSON(compact(t.Advanced))
	}
	return fromJSON(compact(t.Selectors))
}

// repairTrail puts the trail right. One that is not there is made; that another one is
// there instead would have been seen.
func repairTrail(ctx context.Context, s site, r Resource, state any) error {
	if state == nil {
		return createTrail(ctx, s, r)
	}
	st := state.(trailState)
	at := s.at.InRegion(st.Home)
	in := &cloudtrail.UpdateTrailInput{
		Name: aws.String(st.ARN), IsOrganizationTrail: aws.Bool(true), IsMultiRegionTrail: aws.Bool(true), IncludeGlobalServiceEvents: aws.Bool(true),
		EnableLogFileValidation: aws.Bool(true),
	}
	if !st.foreign() {
		in.S3BucketName, in.KmsKeyId = aws.String(r.str("S3BucketName")), aws.String(r.str("KMSKeyId"))
	}
	if _, _, region := arnOf(r.str("CloudWatchLogsLogGroupArn")); !st.foreign() || st.LogGroup == "" && region == st.Home {
		in.CloudWatchLogsLogGroupArn, in.CloudWatchLogsRoleArn = aws.String(r.str("CloudWatchLogsLogGroupArn")), aws.String(r.str("CloudWatchLogsRoleArn"))
	}
	if _, err := s.CloudTrail.UpdateTrail(ctx, in, at.CloudTrail); err != nil {
		return trailError("update", st.Name, err)
	}
	if !st.recordsManagement() {
		if _, err := s.CloudTrail.PutEventSelectors(ctx, st.withManagement(), at.CloudTrail); err != nil {
			return trailError("put event selectors of", st.Name, err)
		}
	}
	return nil
}

// withManagement adds all management events to what a trail records. Its data events
// stay what they were: they cost.
func (t trailState) withManagement() *cloudtrail.PutEventSelectorsInput {
	in := &cloudtrail.PutEventSelectorsInput{TrailName: aws.String(t.ARN)}
	if len(t.Advanced) > 0 {
		in.AdvancedEventSelectors = []types.AdvancedEventSelector{{
			Name: aws.String("Management events"), FieldSelectors: []types.AdvancedFieldSelector{{Field: aws.String("eventCategory"), Equals: []string{"Management"}}},
		}}
		for _, s := range t.Advanced {
			if !managementSelector(s) {
				in.AdvancedEventSelectors = append(in.AdvancedEventSelectors, s)
			}
		}
		return in
	}
	in.EventSelectors = []types.EventSelector{{ReadWriteType: types.ReadWriteTypeAll, IncludeManagementEvents: aws.Bool(true)}}
	for _, s := range t.Selectors {
		if len(s.DataResources) > 0 {
			s.IncludeManagementEvents, s.ExcludeManagementEventSources = aws.Bool(false), nil
			in.EventSelectors = append(in.EventSelectors, s)
		}
	}
	return in
}

func createTrail(ctx context.Context, s site, r Resource) error {
	name := r.str("TrailName")
	_, err := s.CloudTrail.CreateTrail(ctx, &cloudtrail.CreateTrailInput{
		Name: aws.String(name), IsOrganizationTrail: aws.Bool(true), IsMultiRegionTrail: aws.Bool(true), IncludeGlobalServiceEvents: aws.Bool(true),
		EnableLogFileValidation: aws.Bool(true), S3BucketName: aws.String(r.str("S3BucketName")), KmsKeyId: aws.String(r.str("KMSKeyId")),
		CloudWatchLogsLogGroupArn: aws.String(r.str("CloudWatchLogsLogGroupArn")), CloudWatchLogsRoleArn: aws.String(r.str("CloudWatchLogsRoleArn")),
		TagsList: tagsAs(r, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} }),
	}, s.at.CloudTrail)
	if err != nil && orgs.Code(err) != "TrailAlreadyExistsException" {
		return trailError("create", name, err)
	}
	return nil
}

// trailError says what was being done to a trail, and for what CloudTrail refuses most,
// what to do.
func trailError(what, name string, err error) error {
	wrapped := fmt.Errorf("%s trail %s: %w", what, name, err)
	next := map[string]string{
		"CloudTrailAccessNotEnabledException":   "run the rollout in the management account: it lets CloudTrail into the organization",
		"NotOrganizationMasterAccountException": "run the rollout in the management account, or have the security account make the trail, as CloudTrail's delegated administrator (cloudtrail: {account: security})",
		"InsufficientS3BucketPolicyException":   "let the bucket's policy admit CloudTrail for this trail; `orgguard render --control cloudtrail` prints one that does",
		"InsufficientEncryptionPolicyException": "let the key's policy admit CloudTrail for this trail; `orgguard render --control cloudtrail` prints one that does",
	}[orgs.Code(err)]
	if next == "" {
		return wrapped
	}
	return &orgs.Hinted{Err: wrapped, Next: next}
}

// startTrail starts the trail: a rollout is the only one who makes or mends it, and
// either leaves it logging.
func startTrail(ctx context.Context, s site, r Resource) error {
	state, err := observeTrail(ctx, s, r)
	if err != nil {
		return err
	}
	st, ok := state.(trailState)
	if !ok {
		return fmt.Errorf("trail %s is gone", r.str("TrailName"))
	}
	if st.Logging {
		return nil
	}
	if _, err := s.CloudTrail.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: aws.String(st.ARN)}, s.at.InRegion(st.Home).CloudTrail); err != nil {
		return trailError("start", st.Name, err)
	}
	return nil
}

// trailWas is a trail of somebody else's as it was before it was adopted. Settings are
// the API's own, in JSON.
type trailWas struct {
	Settings  string `json:"settings"`
	Selectors string `json:"selectors"` // the request that puts them back
	Logging   bool   `json:"logging"`
}

// was is what an undo of an adoption puts back.
func (t trailState) was() *trailWas {
	selectors := cloudtrail.PutEventSelectorsInput{TrailName: aws.String(t.ARN), EventSelectors: t.Selectors, AdvancedEventSelectors: t.Advanced}
	return &trailWas{Settings: compact(t.Settings), Selectors: compact(selectors), Logging: t.Logging}
}

// same says whether a trail has its settings of before.
func (w *trailWas) same(t trailState) bool { return *t.was() == *w }

// restore gives a trail its settings of before, and stops it if it was stopped.
func (w *trailWas) restore(ctx context.Context, s site, now trailState) error {
	var old types.Trail
	var selectors cloudtrail.PutEventSelectorsInput
	if err := json.Unmarshal([]byte(w.Settings), &old); err != nil {
		return fmt.Errorf("restore trail %s: %w", now.Name, err)
	}
	if err := json.Unmarshal([]byte(w.Selectors), &selectors); err != nil {
		return fmt.Errorf("restore trail %s: %w", now.Name, err)
	}
	at := s.at.InRegion(now.Home)
	gone := func(v *string) *string { return aws.String(aws.ToString(v)) } // "" takes a setting away
	_, err := s.CloudTrail.UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{
		Name: aws.String(now.ARN), S3BucketName: old.S3BucketName, KmsKeyId: gone(old.KmsKeyId), IsOrganizationTrail: old.IsOrganizationTrail,
		IsMultiRegionTrail: old.IsMultiRegionTrail, IncludeGlobalServiceEvents: old.IncludeGlobalServiceEvents, EnableLogFileValidation: old.LogFileValidationEnabled,
		CloudWatchLogsLogGroupArn: gone(old.CloudWatchLogsLogGroupArn), CloudWatchLogsRoleArn: gone(old.CloudWatchLogsRoleArn),
	}, at.CloudTrail)
	if err != nil {
		return trailError("restore", now.Name, err)
	}
	if len(selectors.EventSelectors)+len(selectors.AdvancedEventSelectors) > 0 {
		if _, err := s.CloudTrail.PutEventSelectors(ctx, &selectors, at.CloudTrail); err != nil {
			return trailError("restore the event selectors of", now.Name, err)
		}
	}
	if !w.Logging {
		if _, err := s.CloudTrail.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: aws.String(now.ARN)}, at.CloudTrail); err != nil {
			return trailError("stop, as it was before,", now.Name, err)
		}
	}
	return nil
}

package baseline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
)

// ownName is the name of recorders and channels that orgguard makes.
const ownName = "orgguard"

// controlTowerRecorder is the recorder that Control Tower manages and that
// nobody else should touch.
const (
	controlTowerRecorder = "aws-controltower-BaselineConfigRecorder"
	controlTowerChannel  = "aws-controltower-BaselineConfigDeliveryChannel"
)

// recorderState is the account's customer managed recorder in a Region. There is
// one at most; its name may be anybody's choice. Describe without a name gives
// that one and none of the service-linked recorders beside it.
type recorderState struct {
	Name        string
	Role        string
	All         bool     // records all supported types
	GlobalTypes bool     // and the global IAM types
	Only        []string // records only these types
	Except      []string // records all but these types
	Frequency   string   // "CONTINUOUS" or "DAILY"
	Overrides   int      // resource types with a frequency of their own
	Recording   bool
	LastStatus  string
	LastError   string
	Settings    string // the recorder as AWS gives it, in JSON: what an undo puts back
}

var recorderKind = kind{
	noun:       "recorder",
	nameProp:   "Name",
	attributes: map[string]string{"Ref": "{name}"},
	observe:    observeRecorder,
	compare:    compareRecorder,
	repair:     repairRecorder,
	finish:     startRecorder,
}

func observeRecorder(ctx context.Context, s site, _ Resource) (any, error) {
	out, err := s.Config.DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{}, s.at.Config)
	if err != nil {
		return nil, fmt.Errorf("describe the recorder: %w", err)
	}
	if len(out.ConfigurationRecorders) == 0 {
		return nil, nil
	}
	rec := out.ConfigurationRecorders[0]
	st := recorderState{Name: aws.ToString(rec.Name), Role: aws.ToString(rec.RoleARN), Frequency: string(types.RecordingFrequencyContinuous)}
	if b, err := json.Marshal(rec); err == nil {
		st.Settings = string(b)
	}
	if g := rec.RecordingGroup; g != nil {
		st.All, st.GlobalTypes = g.AllSupported, g.IncludeGlobalResourceTypes
		for _, t := range g.ResourceTypes {
			st.Only = append(st.Only, string(t))
		}
		if g.ExclusionByResourceTypes != nil {
			for _, t := range g.ExclusionByResourceTypes.ResourceTypes {
				st.Except = append(st.Except, string(t))
			}
		}
	}
	if m := rec.RecordingMode; m != nil {
		if m.RecordingFrequency != "" {
			st.Frequency = string(m.RecordingFrequency)
		}
		st.Overrides = len(m.RecordingModeOverrides)
	}
	status, err := s.Config.DescribeConfigurationRecorderStatus(ctx, &configservice.DescribeConfigurationRecorderStatusInput{}, s.at.Config)
	if err != nil {
		return nil, fmt.Errorf("describe the recorder's status: %w", err)
	}
	for _, r := range status.ConfigurationRecordersStatus {
		if aws.ToString(r.Name) == st.Name {
			st.Recording, st.LastStatus = r.Recording, string(r.LastStatus)
			st.LastError = strings.TrimSpace(aws.ToString(r.LastErrorCode) + " " + aws.ToString(r.LastErrorMessage))
		}
	}
	return st, nil
}

// compareRecorder compares what orgguard sets. Of Control Tower's recorder, which
// nobody else may change, it asks only that everything is recorded, as often as it
// should be, and arrives: its role and the Region of the global types are Control
// Tower's to choose.
// https://docs.aws.amazon.com/controltower/latest/userguide/config-costs.html
func compareRecorder(r Resource, state any) []Mismatch {
	st := state.(recorderState)
	tower := st.Name == controlTowerRecorder
	var out []Mismatch
	if !st.Recording {
		out = append(out, Mismatch{
			Reason: "the recorder is stopped", Verb: "start",
			Expected: map[string]any{"recording": true}, Actual: map[string]any{"recording": false},
		})
	}
	group := r.object("RecordingGroup")
	want := map[string]any{"all_supported": group["AllSupported"], "global_types": group["IncludeGlobalResourceTypes"]}
	have := map[string]any{"all_supported": st.All, "global_types": st.GlobalTypes}
	if len(st.Only) > 0 {
		have["only"] = st.Only
	}
	if len(st.Except) > 0 {
		have["except"] = st.Except
	}
	if tower {
		want["global_types"] = have["global_types"]
	}
	if compact(want) != compact(have) {
		reason := "the recorder does not record all resource types"
		if st.All {
			reason = "the recorder should not record the global IAM types here"
			if group["IncludeGlobalResourceTypes"] == true {
				reason = "the recorder does not record the global IAM types"
			}
		}
		out = append(out, Mismatch{Reason: reason, Expected: want, Actual: have})
	}
	if f := fmt.Sprint(r.object("RecordingMode")["RecordingFrequency"]); f != st.Frequency || st.Overrides > 0 {
		out = append(out, Mismatch{
			Reason:   "the recording frequency differs",
			Expected: map[string]any{"frequency": f},
			Actual:   map[string]any{"frequency": st.Frequency, "types_with_their_own": st.Overrides},
		})
	}
	if role := r.str("RoleARN"); role != st.Role && !tower && !isLinkedRole(st.Role) {
		out = append(out, Mismatch{Reason: "the recorder uses another role", Expected: role, Actual: st.Role})
	}
	if st.Recording && strings.EqualFold(st.LastStatus, string(types.RecorderStatusFailure)) {
		out = append(out, Mismatch{
			Reason:   "the recorder's last attempt failed",
			Expected: "Success", Actual: strings.TrimSpace(st.LastStatus + " " + st.LastError),
			Manual: "look at the recorder's role and at what the error says; recording goes on by itself when the cause is gone",
		})
	}
	return out
}

// isLinkedRole says whether a role is AWS Config's own in an account. A recorder that
// somebody gave it keeps it, whatever the configuration says: nobody but AWS can change
// what it may do, and taking it away is a critical finding of Security Hub's.
// https://docs.aws.amazon.com/config/latest/developerguide/using-service-linked-roles.html
func isLinkedRole(arn string) bool {
	return strings.HasSuffix(arn, ":role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig")
}

// repairRecorder makes or changes the recorder. One that exists keeps its name,
// which cannot be changed, and goes on recording meanwhile.
func repairRecorder(ctx context.Context, s site, r Resource, state any) error {
	name, role := r.str("Name"), r.str("RoleARN")
	if st, ok := state.(recorderState); ok {
		name = st.Name
		if isLinkedRole(st.Role) {
			role = st.Role
		}
		stopped := st
		stopped.Recording = true
		if len(compareRecorder(r, stopped)) == 0 {
			return nil // only stopped: finish starts it
		}
	}
	group := r.object("RecordingGroup")
	all, _ := group["AllSupported"].(bool)
	global, _ := group["IncludeGlobalResourceTypes"].(bool)
	_, err := s.Config.PutConfigurationRecorder(ctx, &configservice.PutConfigurationRecorderInput{
		ConfigurationRecorder: &types.ConfigurationRecorder{
			Name:           aws.String(name),
			RoleARN:        aws.String(role),
			RecordingGroup: &types.RecordingGroup{AllSupported: all, IncludeGlobalResourceTypes: global},
			RecordingMode:  &types.RecordingMode{RecordingFrequency: types.RecordingFrequency(fmt.Sprint(r.object("RecordingMode")["RecordingFrequency"]))},
		},
	}, s.at.Config)
	if err != nil {
		return fmt.Errorf("put recorder %s: %w", name, err)
	}
	return nil
}

// startRecorder starts the recorder when it does not record. It needs the
// delivery channel, so it comes after everything else of the cell.
func startRecorder(ctx context.Context, s site, r Resource) error {
	state, err := observeRecorder(ctx, s, r)
	if err != nil {
		return err
	}
	st, ok := state.(recorderState)
	if !ok {
		return errors.New("start the recorder: there is none")
	}
	if st.Recording {
		return nil
	}
	if _, err := s.Config.StartConfigurationRecorder(ctx, &configservice.StartConfigurationRecorderInput{ConfigurationRecorderName: aws.String(st.Name)}, s.at.Config); err != nil {
		return fmt.Errorf("start recorder %s: %w", st.Name, err)
	}
	return nil
}

// channelState is the account's delivery channel in a Region; there is one at
// most.
type channelState struct {
	Name, Bucket, Frequency string
	HistoryStatus           string
	HistoryError            string
	Settings                string // as recorderState's
}

var channelKind = kind{
	noun:       "delivery channel",
	nameProp:   "Name",
	attributes: map[string]string{"Ref": "{name}"},
	observe:    observeChannel,
	compare:    compareChannel,
	repair:     repairChannel,
}

func observeChannel(ctx context.Context, s site, _ Resource) (any, error) {
	out, err := s.Config.DescribeDeliveryChannels(ctx, &configservice.DescribeDeliveryChannelsInput{}, s.at.Config)
	if err != nil {
		return nil, fmt.Errorf("describe the delivery channel: %w", err)
	}
	if len(out.DeliveryChannels) == 0 {
		return nil, nil
	}
	ch := out.DeliveryChannels[0]
	st := channelState{Name: aws.ToString(ch.Name), Bucket: aws.ToString(ch.S3BucketName)}
	if b, err := json.Marshal(ch); err == nil {
		st.Settings = string(b)
	}
	if p := ch.ConfigSnapshotDeliveryProperties; p != nil {
		st.Frequency = string(p.DeliveryFrequency)
	}
	status, err := s.Config.DescribeDeliveryChannelStatus(ctx, &configservice.DescribeDeliveryChannelStatusInput{}, s.at.Config)
	if err != nil {
		return nil, fmt.Errorf("describe the delivery channel's status: %w", err)
	}
	for _, c := range status.DeliveryChannelsStatus {
		if info := c.ConfigHistoryDeliveryInfo; aws.ToString(c.Name) == st.Name && info != nil {
			st.HistoryStatus = string(info.LastStatus)
			st.HistoryError = strings.TrimSpace(aws.ToString(info.LastErrorCode) + " " + aws.ToString(info.LastErrorMessage))
		}
	}
	return st, nil
}

// compareChannel compares what orgguard sets. Control Tower's channel delivers to the
// log archive, as often as Control Tower likes; that it arrives is what counts.
func compareChannel(r Resource, state any) []Mismatch {
	st := state.(channelState)
	tower := st.Name == controlTowerChannel
	var out []Mismatch
	if want := r.str("S3BucketName"); want != st.Bucket && !tower {
		out = append(out, Mismatch{Reason: "the channel delivers to another bucket", Expected: want, Actual: st.Bucket})
	}
	if want := fmt.Sprint(r.object("ConfigSnapshotDeliveryProperties")["DeliveryFrequency"]); want != st.Frequency && !tower {
		actual := st.Frequency
		if actual == "" {
			actual = "no snapshots"
		}
		out = append(out, Mismatch{Reason: "the snapshot frequency differs", Expected: want, Actual: actual})
	}
	if strings.EqualFold(st.HistoryStatus, string(types.DeliveryStatusFailure)) {
		out = append(out, Mismatch{
			Reason: "the last delivery failed", Expected: "Success", Actual: strings.TrimSpace(st.HistoryStatus + " " + st.HistoryError),
			Manual: "check the log bucket and its policy in the security account (control config-delivery there); delivery is tried again by itself",
		})
	}
	return out
}

func repairChannel(ctx context.Context, s site, r Resource, state any) error {
	name := r.str("Name")
	if st, ok := state.(channelState); ok {
		name = st.Name
	}
	_, err := s.Config.PutDeliveryChannel(ctx, &configservice.PutDeliveryChannelInput{DeliveryChannel: &types.DeliveryChannel{
		Name:         aws.String(name),
		S3BucketName: aws.String(r.str("S3BucketName")),
		ConfigSnapshotDeliveryProperties: &types.ConfigSnapshotDeliveryProperties{
			DeliveryFrequency: types.MaximumExecutionFrequency(fmt.Sprint(r.object("ConfigSnapshotDeliveryProperties")["DeliveryFrequency"])),
		},
	}}, s.at.Config)
	if err != nil {
		return fmt.Errorf("put delivery channel %s: %w", name, err)
	}
	return nil
}

// foreign says whether a recorder or channel was made by somebody else, and by
// whom as far as its name tells.
func foreign(state any) (name string, controlTower, yes bool) {
	switch st := state.(type) {
	case recorderState:
		name = st.Name
	case channelState:
		name = st.Name
	case trailState:
		return st.Name, st.Name == controlTowerTrail, st.foreign()
	default:
		return "", false, false
	}
	return name, name == controlTowerRecorder || name == controlTowerChannel, name != ownName
}

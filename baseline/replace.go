package baseline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
)

// replaceKind is the kind of a change that puts orgguard's recorder in the place of
// somebody else's.
const replaceKind = "replace"

// replaceActions are the actions that replacing a recorder needs besides making one.
var replaceActions = []string{"config:DeleteConfigurationRecorder", "config:DeleteDeliveryChannel", "config:StopConfigurationRecorder"}

// replaces says whether what others made of the unit in an account is replaced: their
// recorders. Those of Control Tower and of AWS services are never meant.
func (b *Baseline) replaces(u unit, id orgs.AccountID) bool {
	if u.ID == trailUnit {
		return false
	}
	s, ok := b.at(id).view.settings["config-recorder"].(*RecorderSettings)
	return ok && s.Existing == "replace"
}

// foreignness adds to what is wrong with a recorder or channel that it is somebody
// else's, where those are to be replaced: settings that are right do not make it
// orgguard's.
func (b *Baseline) foreignness(u unit, id orgs.AccountID, r Resource, state any, ms []Mismatch) []Mismatch {
	name, tower, other := foreign(state)
	if !other || tower || !b.replaces(u, id) {
		return ms
	}
	return append(ms, Mismatch{
		Reason:   fmt.Sprintf("the %s is %s, somebody else's (existing: replace)", kinds[r.Type].noun, name),
		Expected: ownName, Actual: name, Verb: string(plan.Replace),
	})
}

// replacing is what it takes to put a recorder and a channel in the place of others:
// three writes to take those away, and three to make and start these.
var replacing = plan.Effort{Writes: 6}

// replace proposes to put orgguard's recorder and channel in the place of somebody
// else's. It is no repair: nothing of theirs stays, and nothing is recorded until
// ours has started.
func (p *proposer) replace(v view) {
	if !slices.ContainsFunc(v.ins, p.look.filter.asks) {
		return
	}
	was := wasOf(v.ins)
	c := p.change(v.unit, replaceKind, plan.Replace, was.names())
	c.Stage, c.Wave = plan.Repairs, p.wave(v)
	c.Account, c.AccountName, c.Region, c.Cells = string(v.account.ID), v.account.Name, v.region, 1
	c.Targets = []string{instanceKey(v.account.ID, v.region)}
	c.Before = map[string]any{"recorder": shownSettings(was.Recorder), "recording": was.Recording, "delivery_channel": shownSettings(was.Channel)}
	c.Why = "somebody else made it, and the configuration says existing: replace: it is stopped and deleted, orgguard's is made and started in its place"
	c.Undo = "orgguard undo --run ID makes it again as it was"
	c.Irreversible = "what changes between the stop of a recorder and the start of its replacement is not recorded, and a recorder that is made again has no tags"
	c.Effort = replacing
	s := p.site(p.pool, v.account.ID, v.region)
	p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) {
		if err := replaceRecorder(ctx, s, was, v.ins); err != nil {
			return []plan.Failure{{
				Account: string(v.account.ID), AccountName: v.account.Name, Region: v.region, Status: "FAILED", Reason: orgs.Reason(err),
				Fix: "let the access role do this (orgguard permissions --command rollout); then run the rollout again",
			}}, ctx.Err()
		}
		return nil, nil
	}})
}

// wasOf is the recorder and the channel that inspections found.
func wasOf(ins []Inspection) recorderWas {
	var was recorderWas
	for _, in := range ins {
		switch st := in.State.(type) {
		case recorderState:
			was.Recorder, was.Recording = st.Settings, st.Recording
		case channelState:
			was.Channel = st.Settings
		}
	}
	return was
}

// decode reads the settings back.
func (w recorderWas) decode() (rec *types.ConfigurationRecorder, ch *types.DeliveryChannel, err error) {
	if w.Recorder != "" {
		rec = &types.ConfigurationRecorder{}
		err = json.Unmarshal([]byte(w.Recorder), rec)
	}
	if w.Channel != "" && err == nil {
		ch = &types.DeliveryChannel{}
		err = json.Unmarshal([]byte(w.Channel), ch)
	}
	return rec, ch, err
}

// like says whether two are the same but for their ARNs: a recorder that is made again
// gets another one.
func (w recorderWas) like(o recorderWas) bool {
	a, ch, errA := w.decode()
	b, och, errB := o.decode()
	if errA != nil || errB != nil || w.Recording != o.Recording {
		return false
	}
	for _, r := range []*types.ConfigurationRecorder{a, b} {
		if r != nil {
			r.Arn = nil
		}
	}
	return compact(a) == compact(b) && compact(ch) == compact(och)
}

// names says in short what there was.
func (w recorderWas) names() string {
	rec, ch, err := w.decode()
	var parts []string
	if rec != nil && err == nil {
		parts = append(parts, "recorder "+aws.ToString(rec.Name))
	}
	if ch != nil && err == nil {
		parts = append(parts, "delivery channel "+aws.ToString(ch.Name))
	}
	return strings.Join(parts, ", ")
}

// shownSettings are settings in a plan; nil of what there was not.
func shownSettings(text string) any {
	if text == "" {
		return nil
	}
	return fromJSON(text)
}

// replaceRecorder stops and deletes what others made and makes ours, in as few calls
// as it takes. What comes after the first of them is not cut short by Ctrl-C, and
// where it fails theirs is made again: either way the account is left with a recorder.
func replaceRecorder(ctx context.Context, s site, was recorderWas, ins []Inspection) error {
	now, err := observeWas(ctx, s)
	if err != nil {
		return err
	}
	if now.Recorder != was.Recorder || now.Channel != was.Channel {
		return errors.New("the recorder or its delivery channel was changed since the plan was made")
	}
	ctx = context.WithoutCancel(ctx)
	err = takeAway(ctx, s, was)
	if err == nil {
		err = mend(ctx, s, anew(ins))
	}
	if err == nil {
		return verified(ctx, s, ins)
	}
	if back := was.makeAgain(ctx, s); back != nil {
		return fmt.Errorf("%w; and what was there could not be made again: %w", err, back)
	}
	return fmt.Errorf("%w; what was there was made again", err)
}

// observeWas reads the recorder and the channel that are there.
func observeWas(ctx context.Context, s site) (recorderWas, error) {
	rec, ch, err := observeBoth(ctx, s)
	return wasOf([]Inspection{{State: rec}, {State: ch}}), err
}

func observeBoth(ctx context.Context, s site) (rec, ch any, err error) {
	if rec, err = observeRecorder(ctx, s, Resource{}); err != nil {
		return nil, nil, err
	}
	ch, err = observeChannel(ctx, s, Resource{})
	return rec, ch, err
}

// takeAway stops and deletes the recorder and the channel that are there. A channel
// can only be deleted when no recorder records.
// https://docs.aws.amazon.com/config/latest/APIReference/API_DeleteDeliveryChannel.html
func takeAway(ctx context.Context, s site, there recorderWas) error {
	rec, ch, err := there.decode()
	if err != nil {
		return err
	}
	var recorder, channel string
	if rec != nil {
		recorder = aws.ToString(rec.Name)
	}
	if ch != nil {
		channel = aws.ToString(ch.Name)
	}
	return deleteRecorder(ctx, s, recorder, channel)
}

// anew is what is to be made where there is nothing any more.
func anew(ins []Inspection) []Inspection {
	out := slices.Clone(ins)
	for i := range out {
		out[i].State, out[i].Absent = nil, true
	}
	return out
}

// makeAgain puts a recorder and a channel back as they were, in the place of what is
// there now.
func (w recorderWas) makeAgain(ctx context.Context, s site) error {
	now, err := observeWas(ctx, s)
	if err != nil {
		return err
	}
	if now.Recorder != w.Recorder || now.Channel != w.Channel {
		if err := takeAway(ctx, s, now); err != nil {
			return err
		}
	}
	rec, ch, err := w.decode()
	if err != nil {
		return err
	}
	if rec != nil {
		rec.Arn = nil // AWS gives it and does not take it
		if _, err := s.Config.PutConfigurationRecorder(ctx, &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: rec}, s.at.Config); err != nil {
			return fmt.Errorf("make recorder %s again: %w", aws.ToString(rec.Name), err)
		}
	}
	if ch != nil {
		if _, err := s.Config.PutDeliveryChannel(ctx, &configservice.PutDeliveryChannelInput{DeliveryChannel: ch}, s.at.Config); err != nil {
			return fmt.Errorf("make delivery channel %s again: %w", aws.ToString(ch.Name), err)
		}
	}
	if rec == nil || !w.Recording {
		return nil
	}
	if _, err := s.Config.StartConfigurationRecorder(ctx, &configservice.StartConfigurationRecorderInput{ConfigurationRecorderName: rec.Name}, s.at.Config); err != nil {
		return fmt.Errorf("start recorder %s again: %w", aws.ToString(rec.Name), err)
	}
	return nil
}

// replaced proposes to make a recorder of somebody else's again that was replaced.
func (u *undoer) replaced(ctx context.Context, r journal.Record) {
	was, s, ok := u.recorderWas(r)
	if !ok {
		return
	}
	rec, ch, err := observeBoth(ctx, s)
	if err != nil {
		u.leave(r, orgs.Reason(err), true)
		return
	}
	found := wasOf([]Inspection{{State: rec}, {State: ch}})
	now, there := rec.(recorderState)
	switch {
	case found.like(was):
		u.leave(r, "is there again already", false)
		return
	case there && now.Name != ownName:
		u.leave(r, "there is another recorder now: "+now.Name, true)
		return
	case there && !u.asAdopted(s, now):
		u.leave(r, "the recorder "+now.Name+" was changed since", true)
		return
	}
	u.task(r, plan.Replace, "orgguard's recorder and delivery channel are stopped and deleted, and those of before are made again", func(ctx context.Context) ([]plan.Failure, error) {
		return nil, was.makeAgain(context.WithoutCancel(ctx), s)
	})
	u.takes(replacing)
}

package baseline

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
)

// Job is the scheduled audit as `orgguard schedule install` deploys it: one stack in
// the security account's home Region, and what its bucket has to hold.
//
// The bucket is made by the stack and outlives it, and the function cannot be made
// before its package is in the bucket. So the stack is made without the function first,
// which is what the parameter CodeKey is for, and a stack that comes after another one
// takes the bucket that was left.
type Job struct {
	Body    string            // the template
	Params  map[string]string // all of its parameters but codeParam and originParam
	Objects []JobObject
	Code    string // the key of the object that is the function's package
	Events  string // the template of the stack in the management account; "" for none
}

// JobObject is an object that the job's bucket has to hold.
type JobObject struct {
	Key  string
	What string // for people, e.g. "the configuration"
	Body []byte
}

// sum is what is in an object, for plans and for comparing.
func (o JobObject) sum() string {
	sum := sha256.Sum256(o.Body)
	return hex.EncodeToString(sum[:])
}

// JobName is the name of the scheduled audit: its stack's, its function's and its
// role's, which the role for audits trusts by its name.
const JobName = "orgguard-audit"

// The parameters of the template that follow from what is there.
const (
	codeParam   = "CodeKey"
	originParam = "BucketOrigin"
	bucketMade  = "made" // by the stack
	bucketKept  = "kept" // by an earlier one
)

// The kinds of a job's changes.
const (
	jobDelegation = "job-delegation"
	jobStack      = "job-stack"
	jobObject     = "job-object"
	jobHistory    = "job-history"
)

// jobControl stands where changes name a control.
const jobControl = "schedule"

// stackSetsMember is the service principal under which an account is a delegated
// administrator for StackSets.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-delegated-admin.html
const stackSetsMember = "member.org.stacksets.cloudformation.amazonaws.com"

// sumMetadata is the metadata of an object that tells what orgguard put into it.
const sumMetadata = "orgguard-sha256"

// JobLook is what is deployed of the job.
type JobLook struct {
	stack   stackState
	events  stackState // in the management account, where the caller may look
	tamper  stackState // the rules on the alerts' bus
	bus     bool       // that there is such a bus
	bucket  jobBucket
	objects map[string]objectWas // by key, those that are there
	// delegated says whether the security account may ask Organizations and
	// StackSets. Where it cannot be told, err says why.
	delegated     bool
	delegatedErr  error
	trustedAccess bool
}

// jobBucket is the bucket as it was found.
type jobBucket struct {
	exists bool
	err    error // somebody else's, or it cannot be told
}

// objectWas is what a change of an object found: what an undo puts back.
type objectWas struct {
	Key     string `json:"key"`
	Existed bool   `json:"existed"`
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256,omitempty"` // as its metadata tells; "" when somebody else wrote it
}

// JobBucket is the name of the job's bucket.
func (b *Baseline) JobBucket() string {
	return JobName + "-" + string(b.Security) + "-" + b.Home
}

func (b *Baseline) jobSite(pool *access.Pool) site { return b.site(pool, b.Security, b.Home) }

// Installed says whether the job's stack is there.
func (l *JobLook) Installed() bool { return l.stack.Exists }

// LookJob reads what is deployed of a job.
func (b *Baseline) LookJob(ctx context.Context, pool *access.Pool, j Job) (*JobLook, error) {
	s, l := b.jobSite(pool), &JobLook{objects: map[string]objectWas{}, delegated: true, trustedAccess: true}
	var err error
	if l.stack, err = observeStack(ctx, s, JobName); err != nil {
		return nil, err
	}
	if err := b.lookBucket(ctx, s, j, l); err != nil {
		return nil, err
	}
	if l.events, err = b.lookBeside(ctx, pool, jobEvents); err != nil {
		return nil, err
	}
	if l.tamper, err = b.lookBeside(ctx, pool, jobTamper); err != nil {
		return nil, err
	}
	if l.bus, err = b.tamperBus(ctx, pool); err != nil {
		return nil, err
	}
	// A member account that could read the organization is a delegated administrator
	// of something; of what, the management account can tell.
	if b.Security != b.Org.ManagementAccount && b.ownsManagement(pool) {
		l.delegated, l.delegatedErr = delegatedTo(ctx, pool, b.Security)
		if l.delegatedErr == nil && !l.delegated {
			desc, err := pool.CloudFormation.DescribeOrganizationsAccess(ctx, &cloudformation.DescribeOrganizationsAccessInput{CallAs: cfntypes.CallAsSelf}, pool.Home(b.Home).CloudFormation)
			if err != nil {
				return nil, fmt.Errorf("ask whether StackSets may act in the organization: %w", err)
			}
			l.trustedAccess = desc.Status == cfntypes.OrganizationStatusEnabled
		}
	}
	return l, nil
}

// lookBucket reads the bucket and the objects that the job needs in it.
func (b *Baseline) lookBucket(ctx context.Context, s site, j Job, l *JobLook) error {
	name := b.JobBucket()
	exists, ours, err := ownBucket(ctx, s, name)
	switch {
	case err != nil:
		l.bucket.err = err
		return nil
	case !exists:
		return nil
	case !ours:
		l.bucket.err = fmt.Errorf("bucket %s does not carry orgguard's tag: somebody else made it", name)
		return nil
	}
	l.bucket.exists = true
	for _, o := range j.Objects {
		was, err := headObject(ctx, s, name, o.Key)
		if err != nil {
			return err
		}
		if was.Existed {
			l.objects[o.Key] = was
		}
	}
	return nil
}

// ownBucket says whether there is a bucket of the account, and whether orgguard made it.
func ownBucket(ctx context.Context, s site, name string) (exists, ours bool, err error) {
	out, err := s.S3.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &name, ExpectedBucketOwner: s.owner()}, s.at.S3)
	switch orgs.Code(err) {
	case "":
	case "NoSuchBucket":
		return false, false, nil
	case "NoSuchTagSet":
		return true, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("read the tags of bucket %s: %w", name, err)
	}
	return true, slices.ContainsFunc(out.TagSet, func(t types.Tag) bool {
		return aws.ToString(t.Key) == "managed-by" && aws.ToString(t.Value) == "orgguard"
	}), nil
}

// headObject reads which content an object has.
func headObject(ctx context.Context, s site, bucket, key string) (objectWas, error) {
	out, err := s.S3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, ExpectedBucketOwner: s.owner()}, s.at.S3)
	switch {
	case notFound(err):
		return objectWas{Key: key}, nil
	case err != nil:
		return objectWas{}, fmt.Errorf("read s3://%s/%s: %w", bucket, key, err)
	}
	return objectWas{Key: key, Existed: true, Version: aws.ToString(out.VersionId), SHA256: out.Metadata[sumMetadata]}, nil
}

// delegatedTo says whether an account is a delegated administrator for StackSets.
func delegatedTo(ctx context.Context, pool *access.Pool, id orgs.AccountID) (bool, error) {
	pages := organizations.NewListDelegatedServicesForAccountPaginator(pool.Organizations, &organizations.ListDelegatedServicesForAccountInput{AccountId: aws.String(string(id))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if orgs.Code(err) == "AccountNotRegisteredException" {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("list what account %s is a delegated administrator of: %w", id, err)
		}
		for _, d := range page.DelegatedServices {
			if aws.ToString(d.ServicePrincipal) == stackSetsMember {
				return true, nil
			}
		}
	}
	return false, nil
}

// composed is the stack that a job wants, with the function or without.
func (j Job) composed(code, origin string) *composed {
	u := jobUnit(jobControl, map[string]string{})
	u.body = j.Body
	maps.Copy(u.params, j.Params)
	u.params[codeParam], u.params[originParam] = code, origin
	return &u
}

// ProposeJob compares a job with what is deployed of it.
func (b *Baseline) ProposeJob(l *JobLook, j Job, pool *access.Pool) Proposal {
	p := &proposer{Baseline: b, look: &Look{TrustedAccess: l.trustedAccess}, pool: pool, skipped: map[plan.Skip]bool{}}
	switch st := l.stack; {
	case l.bucket.err != nil:
		p.skipJob("its bucket", orgs.Reason(l.bucket.err), true)
		return p.Proposal
	case st.Exists && !st.Ours:
		p.skipJob("stack "+JobName, "is there and does not carry orgguard's tag: somebody else made it", true)
		return p.Proposal
	}
	p.delegate(l)
	origin := bucketMade
	if was := l.stack.Params[originParam]; l.stack.Exists && !l.stack.failedCreation() && was != "" {
		origin = was
	} else if l.bucket.exists {
		origin = bucketKept
	}
	st := l.stack
	if !l.bucket.exists {
		first := j.composed("", origin)
		first.stage = plan.Central
		p.jobStack(first, st, "makes the bucket; the rest follows when it holds what the function runs")
		st = stackState{Exists: true, Ours: true, Status: string(cfntypes.StackStatusCreateComplete), Body: first.body, Params: first.params}
	}
	for _, o := range j.Objects {
		p.jobObject(l, o)
	}
	whole := j.composed(j.Code, origin)
	if !st.is(whole) || st.failedCreation() || st.inProgress() {
		p.jobStack(whole, st, "")
	}
	p.putBeside(jobEvents, l.events, j.Events)
	p.tamper(l)
	return p.Proposal
}

func (p *proposer) skipJob(what, why string, blocked bool) {
	a, _ := p.Org.Account(p.Security)
	p.skip(plan.Skip{Account: string(a.ID), AccountName: a.Name, Region: p.Home, Control: jobControl, Reason: what + ": " + why, Blocked: blocked})
}

// place puts a change into the security account's home Region.
func (p *proposer) jobChange(c plan.Change) plan.Change {
	a, _ := p.Org.Account(p.Security)
	c.Account, c.AccountName, c.Region, c.Cells, c.Control = string(a.ID), a.Name, p.Home, 1, jobControl
	c.Targets = []string{instanceKey(a.ID, p.Home)}
	return c
}

// delegate proposes that the security account may ask Organizations and StackSets, as
// an audit does. Only the management account can appoint it.
func (p *proposer) delegate(l *JobLook) {
	if l.delegatedErr != nil {
		p.skipJob("delegated administrator", orgs.Reason(l.delegatedErr), true)
		return
	}
	if l.delegated {
		return
	}
	p.access()
	id := aws.String(string(p.Security))
	in := &organizations.RegisterDelegatedAdministratorInput{AccountId: id, ServicePrincipal: aws.String(stackSetsMember)}
	c := p.jobChange(plan.Change{
		Kind: jobDelegation, Stage: plan.Prerequisites, Verb: plan.Enable, Resource: "delegated administrator for StackSets: account " + *id,
		Why:  "the audit asks Organizations and StackSets from there; whoever administers the account can then deploy stack sets too",
		Undo: "aws organizations deregister-delegated-administrator --account-id " + *id + " --service-principal " + stackSetsMember, Effort: plan.Effort{Writes: 1},
		Before: "no", After: "yes",
	})
	c.Account, c.Region = string(p.Org.ManagementAccount), finding.Global
	if a, ok := p.Org.Account(p.Org.ManagementAccount); ok {
		c.AccountName = a.Name
	}
	p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Was: map[string]string{"account": *id}, Apply: func(ctx context.Context) ([]plan.Failure, error) {
		if _, err := p.pool.Organizations.RegisterDelegatedAdministrator(ctx, in); err != nil && orgs.Code(err) != "AccountAlreadyRegisteredException" {
			return nil, fmt.Errorf("make account %s a delegated administrator for StackSets: %w", *id, err)
		}
		ok, err := delegatedTo(ctx, p.pool, p.Security)
		if err == nil && !ok {
			err = fmt.Errorf("account %s is still no delegated administrator for StackSets", *id)
		}
		return nil, err
	}})
}

// jobStack proposes to create or update the job's stack.
func (p *proposer) jobStack(u *composed, st stackState, why string) {
	c := p.jobChange(p.change(u, jobStack, plan.Create, "stack "+u.Stack))
	c.Why, c.Effort = cmp.Or(why, "does not exist"), oneStack
	c.Undo = fmt.Sprintf("orgguard schedule remove (or aws cloudformation delete-stack --region %s --stack-name %s)", p.Home, u.Stack)
	if st.Exists {
		c.Verb, c.Before = plan.Update, describe(st.Body, st.Params)
		switch {
		case st.failedCreation():
			c.Why = "its creation failed before (" + st.Status + "): it is deleted and made anew"
			c.Effort.Add(plan.Effort{Writes: 1, Rounds: 1})
		case st.inProgress():
			c.Why = "CloudFormation is at work on it (" + st.Status + "): waits for that first"
		case why == "" && st.Params[codeParam] == "":
			c.Why = "gets the function, what begins it and what watches it"
		case why == "":
			c.Why = "template or parameters differ: " + differing(st, u)
		}
	}
	s := p.jobSite(p.pool)
	was := stackWas{Unit: jobControl, Existed: st.Exists && !st.failedCreation(), Body: st.Body, Params: st.Params}
	p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) {
		now, err := observeStack(ctx, s, u.Stack)
		if err != nil {
			return nil, err
		}
		if now.Exists && !now.Ours {
			return nil, fmt.Errorf("stack %s: somebody else made it meanwhile", u.Stack)
		}
		return nil, putStack(ctx, s, u, now)
	}})
}

// differing names what of a stack is not as it should be.
func differing(st stackState, u *composed) string {
	var out []string
	if strings.TrimSpace(st.Body) != strings.TrimSpace(u.body) {
		out = append(out, "the template")
	}
	for _, k := range sortedKeys(u.params) {
		if st.Params[k] != u.params[k] {
			out = append(out, k)
		}
	}
	for _, k := range sortedKeys(st.Params) {
		if _, wanted := u.params[k]; !wanted {
			out = append(out, k)
		}
	}
	return strings.Join(out, ", ")
}

// jobObject proposes to write an object that is not in the bucket, or is another one.
func (p *proposer) jobObject(l *JobLook, o JobObject) {
	was := l.objects[o.Key]
	if was.Existed && was.SHA256 == o.sum() {
		return
	}
	name := p.JobBucket()
	c := p.jobChange(plan.Change{
		Kind: jobObject, Stage: plan.Package, Verb: plan.Create, Resource: "s3://" + name + "/" + o.Key, Why: o.What + " is not there",
		After: map[string]any{"bytes": len(o.Body), "sha256": o.sum()}, Undo: "aws s3 rm s3://" + name + "/" + o.Key, Effort: plan.Effort{Writes: 1},
	})
	if was.Existed {
		c.Verb, c.Why, c.Undo = plan.Update, o.What+" is another one", "the version before stays in the bucket"
		c.Before = map[string]any{"sha256": cmp.Or(was.SHA256, "not written by orgguard")}
	}
	s, was := p.jobSite(p.pool), objectWas{Key: o.Key, Existed: was.Existed, Version: was.Version, SHA256: was.SHA256}
	p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) {
		return nil, putJobObject(ctx, s, name, o)
	}})
}

// putJobObject writes an object and looks at it again.
func putJobObject(ctx context.Context, s site, bucket string, o JobObject) error {
	sum := sha256.Sum256(o.Body)
	_, err := s.S3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &bucket, Key: &o.Key, Body: bytes.NewReader(o.Body), ExpectedBucketOwner: s.owner(), Metadata: map[string]string{sumMetadata: o.sum()},
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])), // S3 refuses what does not fit
	}, s.at.S3)
	if err != nil {
		return fmt.Errorf("write s3://%s/%s: %w", bucket, o.Key, err)
	}
	now, err := headObject(ctx, s, bucket, o.Key)
	if err == nil && now.SHA256 != o.sum() {
		err = fmt.Errorf("s3://%s/%s: somebody else has written it meanwhile", bucket, o.Key)
	}
	return err
}

// RemoveJob says how to take a job away: its stack, and with DeleteHistory its bucket
// with everything that is in it. The bucket is known by its name and its owner, and by
// the stack's or its own tag; nothing is deleted that orgguard did not make.
func (b *Baseline) RemoveJob(ctx context.Context, pool *access.Pool, h History) (Proposal, error) {
	p := &proposer{Baseline: b, pool: pool, skipped: map[plan.Skip]bool{}}
	s, name := b.jobSite(pool), JobName
	st, err := observeStack(ctx, s, name)
	if err != nil {
		return Proposal{}, err
	}
	tamper, err := b.lookBeside(ctx, pool, jobTamper)
	if err != nil {
		return Proposal{}, err
	}
	events, err := b.lookBeside(ctx, pool, jobEvents)
	switch {
	case err != nil:
		return Proposal{}, err
	case st.Exists && !st.Ours:
		p.skipJob("stack "+name, "does not carry orgguard's tag: somebody else made it", true)
		return p.Proposal, nil
	}
	const untold = "nobody is to be told any more"
	p.dropBeside(jobTamper, tamper, untold)
	if st.Exists {
		c := p.jobChange(plan.Change{
			Kind: jobStack, Stage: plan.Job, Verb: plan.Delete, Resource: "stack " + name, Why: "the function, its schedule, roles, queue, log, topic and alarms; the bucket stays",
			Before: describe(st.Body, st.Params), Undo: "orgguard schedule install makes it again", Effort: oneStack,
		})
		was := stackWas{Unit: jobControl, Existed: true, Deleted: true, Body: st.Body, Params: st.Params}
		p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) {
			now, err := observeStack(ctx, s, name)
			if err != nil || !now.Exists {
				return nil, err
			}
			if !now.Ours {
				return nil, fmt.Errorf("stack %s: somebody else made it meanwhile", name)
			}
			return nil, dropStack(ctx, s, name)
		}})
	}
	p.dropBeside(jobEvents, events, untold)
	p.jobHistory(ctx, s, b.JobBucket(), h)
	return p.Proposal, nil
}

// jobHistory proposes to delete the bucket, or tells that it stays.
func (p *proposer) jobHistory(ctx context.Context, s site, bucket string, h History) {
	exists, ours, err := ownBucket(ctx, s, bucket)
	switch {
	case err != nil:
		p.skipJob("bucket "+bucket, orgs.Reason(err), true)
		return
	case !exists:
		return
	case !ours:
		p.skipJob("bucket "+bucket, "does not carry orgguard's tag: somebody else made it", false)
		return
	case h == KeepHistory:
		p.skipJob("bucket "+bucket, "kept: it holds the history, and the next installation goes on with it (--delete-history takes it too)", false)
		return
	}
	c := p.jobChange(plan.Change{
		Kind: jobHistory, Stage: plan.Retirement, Verb: plan.Delete, Resource: "bucket " + bucket, Why: "as asked for, with all versions of all objects",
		Irreversible: "the history of the audits is gone", Effort: plan.Effort{Writes: 1},
	})
	p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Apply: func(ctx context.Context) ([]plan.Failure, error) { return nil, emptyBucket(ctx, s, bucket) }})
}

// emptyBucket deletes all versions of all objects of a bucket, and the bucket. It is
// read anew until nothing is left: a page that came back short is no reason to stop,
// and what is written meanwhile makes DeleteBucket fail.
func emptyBucket(ctx context.Context, s site, bucket string) error {
	drop := func(key, version *string) error {
		_, err := s.S3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: key, VersionId: version, ExpectedBucketOwner: s.owner()}, s.at.S3)
		if err != nil {
			return fmt.Errorf("delete s3://%s/%s: %w", bucket, aws.ToString(key), err)
		}
		return nil
	}
	pages := s3.NewListObjectVersionsPaginator(s.S3, &s3.ListObjectVersionsInput{Bucket: &bucket, ExpectedBucketOwner: s.owner()})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.at.S3)
		if err != nil {
			return fmt.Errorf("list the versions of bucket %s: %w", bucket, err)
		}
		for _, v := range page.Versions {
			if err := drop(v.Key, v.VersionId); err != nil {
				return err
			}
		}
		for _, m := range page.DeleteMarkers {
			if err := drop(m.Key, m.VersionId); err != nil {
				return err
			}
		}
	}
	if _, err := s.S3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket, ExpectedBucketOwner: s.owner()}, s.at.S3); err != nil && !notFound(err) {
		return fmt.Errorf("delete bucket %s: %w", bucket, err)
	}
	return nil
}

// job proposes to undo a change of a job, but for its stacks.
func (u *undoer) job(ctx context.Context, r journal.Record) {
	switch r.Change.Kind {
	case jobDelegation:
		u.undelegate(ctx, r)
	case jobObject:
		u.jobObjectBack(ctx, r)
	case jobHistory:
		u.leave(r, "what was deleted cannot be brought back", true)
	}
}

func (u *undoer) undelegate(ctx context.Context, r journal.Record) {
	var was struct{ Account string }
	if err := journal.Decode(r.Was, &was); err != nil {
		u.leave(r, err.Error(), true)
		return
	}
	yes, err := delegatedTo(ctx, u.pool, orgs.AccountID(was.Account))
	switch {
	case err != nil:
		u.leave(r, orgs.Reason(err), true)
	case !yes:
		u.leave(r, "is none any more", false)
	default:
		u.task(r, plan.Delete, "was none before", func(ctx context.Context) ([]plan.Failure, error) {
			_, err := u.pool.Organizations.DeregisterDelegatedAdministrator(ctx, &organizations.DeregisterDelegatedAdministratorInput{AccountId: &was.Account, ServicePrincipal: aws.String(stackSetsMember)})
			if err != nil && orgs.Code(err) != "AccountNotRegisteredException" {
				return nil, fmt.Errorf("take the delegation from account %s: %w", was.Account, err)
			}
			return nil, nil
		})
	}
}

// jobObjectBack gives an object its version of before, or deletes it.
func (u *undoer) jobObjectBack(ctx context.Context, r journal.Record) {
	var was objectWas
	var after struct{ SHA256 string }
	if err := errors.Join(journal.Decode(r.Was, &was), journal.Decode(r.Change.After, &after)); err != nil {
		u.leave(r, err.Error(), true)
		return
	}
	s := u.jobSite(u.pool)
	bucket := strings.TrimSuffix(strings.TrimPrefix(r.Change.Resource, "s3://"), "/"+was.Key)
	now, err := headObject(ctx, s, bucket, was.Key)
	switch {
	case err != nil:
		u.leave(r, orgs.Reason(err), true)
	case !now.Existed:
		u.leave(r, "is gone already", false)
	case now.SHA256 != after.SHA256:
		u.leave(r, "was changed since", true)
	case was.Existed:
		u.task(r, plan.Update, "gets its version of before", func(ctx context.Context) ([]plan.Failure, error) {
			out, err := s.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &was.Key, VersionId: &was.Version, ExpectedBucketOwner: s.owner()}, s.at.S3)
			if err != nil {
				return nil, fmt.Errorf("read version %s of s3://%s/%s: %w", was.Version, bucket, was.Key, err)
			}
			defer out.Body.Close()
			body, err := io.ReadAll(out.Body)
			if err != nil {
				return nil, fmt.Errorf("read version %s of s3://%s/%s: %w", was.Version, bucket, was.Key, err)
			}
			return nil, putJobObject(ctx, s, bucket, JobObject{Key: was.Key, Body: body})
		})
	default:
		u.task(r, plan.Delete, "was not there before", func(ctx context.Context) ([]plan.Failure, error) {
			if _, err := s.S3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &was.Key, ExpectedBucketOwner: s.owner()}, s.at.S3); err != nil {
				return nil, fmt.Errorf("delete s3://%s/%s: %w", bucket, was.Key, err)
			}
			return nil, nil
		})
	}
}

package bucket_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/journal/bucket"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

const security, region, name = "200000000001", "ap-northeast-1", "example-journal"

// locked is a copy in a bucket with Object Lock and a default retention.
func locked(t *testing.T) (bucket.Copy, *s3.Client) {
	t.Helper()
	scenario, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.New(scenario)
	if err != nil {
		t.Fatal(err)
	}
	c := s3.NewFromConfig(w.Config(region, w.RolePrincipal(security, "OrganizationAccountAccessRole", "somebody")))
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: aws.String(name), ObjectLockEnabledForBucket: aws.Bool(true),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: region},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: aws.String(name), ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(365)}},
	}}); err != nil {
		t.Fatal(err)
	}
	return bucket.Copy{API: c, At: func(*s3.Options) {}, Name: name, Owner: security, Prefix: "orgguard/", Organization: "o-demo0guard"}, c
}

func keeper(t *testing.T, c bucket.Copy) journal.Keeper {
	t.Helper()
	return journal.Keeper{Dir: filepath.Join(t.TempDir(), "journal"), Copy: c, Now: time.Now}
}

var header = journal.Header{Command: "rollout", Who: "arn:aws:sts::1:assumed-role/a/alice", Organization: "o-demo0guard", ToolVersion: "test"}

// written is the journal of a run with one write.
func written(t *testing.T, k journal.Keeper) string {
	t.Helper()
	j, err := k.Create(t.Context(), header)
	if err != nil {
		t.Fatal(err)
	}
	step, err := j.Begin(plan.Change{Resource: "policy x"})
	if err == nil {
		err = errors.Join(step.Done(nil), j.End("done"), j.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return j.Run()
}

func TestAJournalIsReadFromTheBucketOnAnotherMachine(t *testing.T) {
	c, api := locked(t)
	here := keeper(t, c)
	run := written(t, here)
	want, err := here.Read(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	there := keeper(t, c)
	got, err := there.Read(t.Context(), run)
	if diff := cmp.Diff(want.Entries, got.Entries); err != nil || diff != "" {
		t.Errorf("%v (-here +there):\n%s", err, diff)
	}
	// What else lies in the bucket is no journal.
	if _, err := api.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(name), Key: aws.String("orgguard/o-demo0guard/note.txt"), Body: strings.NewReader("x"), ContentMD5: aws.String("nd1EjS/ZIEgPP6qX7BmGpg==")}); err != nil {
		t.Fatal(err)
	}
	second := written(t, there)
	runs, err := keeper(t, c).List(t.Context())
	if err != nil || len(runs) != 2 {
		t.Fatalf("%+v %v", runs, err)
	}
	for _, r := range runs {
		if r.Run != run && r.Run != second || r.Outcome != "done" || r.Command != "rollout" || r.Entries != 4 || r.Place != "s3://example-journal/orgguard/o-demo0guard/" {
			t.Errorf("%+v", r)
		}
	}
	// An object that somebody takes away is missed.
	if _, err := api.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(name), Key: aws.String("orgguard/o-demo0guard/" + run + "/00000002.json")}); err != nil {
		t.Fatal(err)
	}
	if _, err := keeper(t, c).Read(t.Context(), run); err == nil || !strings.Contains(err.Error(), "entry 3 after entry 1: something is missing") {
		t.Errorf("%v", err)
	}
}

func TestNoEntryIsEverReplaced(t *testing.T) {
	c, _ := locked(t)
	run := written(t, keeper(t, c))
	all, err := c.Get(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.SplitAfterN(all, []byte("\n"), 2)[0]
	if err := c.Put(t.Context(), run, 1, first); err != nil {
		t.Errorf("a retry of what is there: %v", err)
	}
	var hint interface{ Hint() string }
	if err := c.Put(t.Context(), run, 1, []byte("{}\n")); !errors.As(err, &hint) || !strings.Contains(err.Error(), "tells something else") {
		t.Errorf("%v", err)
	}
	if again, err := c.Get(t.Context(), run); err != nil || !bytes.Equal(again, all) {
		t.Errorf("%s %v", again, err)
	}
}

func TestABucketThatCannotBeWrittenSaysWhatToDo(t *testing.T) {
	good, _ := locked(t)
	for what, c := range map[string]struct {
		change func(*bucket.Copy)
		hint   string
	}{
		"is not there":              {func(c *bucket.Copy) { c.Name = "no-such-journal" }, "make it in account 200000000001"},
		"belongs to somebody else":  {func(c *bucket.Copy) { c.Owner = "300000000001" }, "must belong to account 300000000001"},
		"lies in a different place": {func(c *bucket.Copy) { c.At = func(o *s3.Options) { o.Region = "us-east-1" } }, "another Region"},
	} {
		broken := good
		c.change(&broken)
		err := broken.Put(t.Context(), "20261128-073537-1a2b3c", 1, []byte("{}\n"))
		var hint interface{ Hint() string }
		if !errors.As(err, &hint) || !strings.Contains(hint.Hint(), c.hint) {
			t.Errorf("a bucket that %s: %v", what, err)
		}
		if _, err := keeper(t, broken).Create(t.Context(), header); err == nil {
			t.Errorf("a bucket that %s: a run began", what)
		}
	}
}

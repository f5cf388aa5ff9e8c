package plan

import (
	"fmt"
	"math"
	"time"
)

// Effort is what making a change takes when nobody else is at work: what AWS is
// asked to do, which is known, and not how long AWS takes for it.
type Effort struct {
	// Writes are calls that change something, those that begin an operation or a
	// stack among them. Of a repair it is one for each resource, and more where
	// that is known.
	Writes int `json:"writes"`
	// Operations are those of StackSets.
	Operations int `json:"operations,omitempty"`
	// Stacks are the stacks that CloudFormation makes, updates or deletes.
	Stacks int `json:"stacks,omitempty"`
	// Rounds is how many of the stacks come one after the other: an operation
	// works in all Regions, and in rollout.max_concurrent accounts, at once.
	Rounds int `json:"rounds,omitempty"`
}

// Add adds another effort that comes after the first.
func (e *Effort) Add(o Effort) {
	e.Writes += o.Writes
	e.Operations += o.Operations
	e.Stacks += o.Stacks
	e.Rounds += o.Rounds
}

// Estimate is what carrying out a plan takes: counts, which hold unless something
// changes meanwhile, and a time, which is a guess that says what it rests on.
type Estimate struct {
	Operations int `json:"operations"`
	Stacks     int `json:"stacks"`
	Writes     int `json:"writes"`
	Waves      int `json:"waves"` // that have changes
	// LeastSeconds and MostSeconds are about how long the changes take.
	LeastSeconds int      `json:"least_seconds"`
	MostSeconds  int      `json:"most_seconds"`
	Basis        []string `json:"basis"`
}

// pace is how long one thing takes, at least and at most.
type pace struct{ least, most time.Duration }

// What times are worked out with. AWS publishes how often its APIs may be called and
// how much may run at once, and nothing on how long CloudFormation takes for a stack.
//
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
var (
	perStack = pace{30 * time.Second, 3 * time.Minute}
	perWrite = pace{100 * time.Millisecond, time.Second}
	// Writes to AWS Organizations are 2 a second, and what they change may take
	// until then to show.
	perPolicyWrite = pace{500 * time.Millisecond, 30 * time.Second}
)

// MaxAtOnce is how many stack instances of a Region may have operations under way
// at once, in all stack sets of an administrator.
const MaxAtOnce = 10_000

// basis says what an estimate rests on.
func basis(limit int) []string {
	return []string{
		fmt.Sprintf("a stack takes %s to %s: an assumption, AWS publishes no figure", perStack.least, perStack.most),
		fmt.Sprintf("an operation works in all Regions at once, in as many accounts as rollout.max_concurrent allows, and in %d at most (a quota of StackSets)", MaxAtOnce),
		fmt.Sprintf("AWS Organizations takes 2 writes a second (published), and shows each within %s (an assumption)", perPolicyWrite.most),
		fmt.Sprintf("any other call that writes takes %s to %s (an assumption), %d changes at once", perWrite.least, perWrite.most, limit),
		"reading before and after, waiting for other people's operations, and being asked come on top",
	}
}

// EstimateOf works out what changes take, carried out in their order, at most limit
// at once inside a stage.
func EstimateOf(changes []Change, limit int) Estimate {
	e := Estimate{Basis: basis(limit)}
	waves := map[int]bool{}
	var all pace
	for from := 0; from < len(changes); {
		to := from
		var sum, longest pace
		for ; to < len(changes) && changes[to].Stage == changes[from].Stage && changes[to].Wave == changes[from].Wave; to++ {
			c := changes[to]
			e.Operations += c.Effort.Operations
			e.Stacks += c.Effort.Stacks
			e.Writes += c.Effort.Writes
			if c.Wave > 0 {
				waves[c.Wave] = true
			}
			p := c.takes()
			sum = pace{sum.least + p.least, sum.most + p.most}
			longest = pace{max(longest.least, p.least), max(longest.most, p.most)}
		}
		if !serial[changes[from].Stage] { // side by side
			n := time.Duration(max(1, limit))
			sum = pace{max(longest.least, sum.least/n), max(longest.most, sum.most/n)}
		}
		all = pace{all.least + sum.least, all.most + sum.most}
		from = to
	}
	e.Waves = len(waves)
	e.LeastSeconds, e.MostSeconds = int(math.Ceil(all.least.Seconds())), int(math.Ceil(all.most.Seconds()))
	return e
}

// takes is about how long a change takes.
func (c Change) takes() pace {
	w, r := time.Duration(c.Effort.Writes), time.Duration(c.Effort.Rounds)
	if serial[c.Stage] {
		return pace{w * perPolicyWrite.least, w * perPolicyWrite.most}
	}
	return pace{w*perWrite.least + r*perStack.least, w*perWrite.most + r*perStack.most}
}

package baseline

import (
	"github.com/orgguard/orgguard/orgs/spec"
)

// Size is a stack set of the baseline and how many instances it would have with
// every Region of the baseline on in every account.
type Size struct {
	Stack     string
	Instances int
}

// Sizes returns the stack sets of the baseline with their sizes.
func (b *Baseline) Sizes() []Size {
	var out []Size
	for _, u := range b.units {
		if !u.everywhere() {
			continue
		}
		out = append(out, Size{Stack: u.Stack, Instances: b.size(u)})
	}
	return out
}

// size is how many instances a unit has where its stack sets reach everybody.
func (b *Baseline) size(u *composed) int {
	return b.sizeOfRegion() * len(b.unitRegions(u.unit, b.candidates()))
}

// sizeOfRegion is how many instances a unit has in one Region at most.
func (b *Baseline) sizeOfRegion() int {
	n := 0
	for _, a := range b.Accounts {
		if b.reached(a) {
			n++
		}
	}
	return n
}

// Existing says what a rollout does with recorders of others ("adopt", "keep", "replace"); ""
// when the recorder is not part of the baseline.
func (b *Baseline) Existing() string {
	if s, ok := b.settings["config-recorder"].(*RecorderSettings); ok {
		return s.Existing
	}
	return ""
}

// BucketSetting is the log bucket that a configuration names; "" when orgguard
// names it itself.
func BucketSetting(cfg *spec.Config) string {
	var s DeliverySettings
	if err := cfg.Baseline["config-delivery"].Decode(&s).Err(); err != nil {
		return "" // Resolve says what is wrong
	}
	return s.Bucket
}

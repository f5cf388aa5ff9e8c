package sim

import (
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"time"
)

// process is what a world remembers of this process only.
type process struct {
	attempts   map[string]int // calls so far, by who, where and what; counted while throttling is on
	deliveries int            // how deep the event being delivered is

	lookups map[string]time.Time // when each account × Region has all its LookupEvents calls back
}

// inject fails a call on purpose, before it reaches the service; see Faults.
func (w *World) inject(c *call) error {
	prefix := w.services[c.service].prefix
	if err := w.fault(c, prefix, false); err != nil {
		return err
	}
	if w.throttled(c, prefix) {
		w.calls[prefix+":"+c.op]++
		return apiError(codesOf(c.service).throttled, "Rate exceeded")
	}
	return nil
}

// fault fails a call as the faults say: one that arrived, or one made for a stack.
func (w *World) fault(c *call, prefix string, inStack bool) error {
	for i, f := range w.faults.Errors {
		if f.InStacks != inStack || !f.matches(c, prefix) {
			continue
		}
		w.calls[prefix+":"+c.op]++
		if f.Times == 1 {
			w.faults.Errors = slices.Delete(slices.Clone(w.faults.Errors), i, i+1)
		} else if f.Times > 1 {
			// The slice may be the caller's of SetFaults.
			w.faults.Errors = slices.Clone(w.faults.Errors)
			w.faults.Errors[i].Times--
		}
		w.dirty()
		return apiError(f.Code, "%s", f.Message)
	}
	return nil
}

// matches says whether a fault is meant for a call.
func (f *Fault) matches(c *call, prefix string) bool {
	return (f.Service == "" || f.Service == prefix) &&
		(f.Operation == "" || f.Operation == c.op) &&
		(f.Account == "" || f.Account == c.caller.Account) &&
		(f.Region == "" || f.Region == c.region)
}

// throttled draws lots. The lot depends on the world's seed, on the call and on
// how often it was made, and not on what else goes on at the same time: two
// runs throttle the same calls whatever the order of their goroutines.
func (w *World) throttled(c *call, prefix string) bool {
	if w.faults.ThrottlePercent <= 0 {
		return false
	}
	key := c.caller.Account + "/" + c.region + "/" + prefix + ":" + c.op
	if w.attempts == nil {
		w.attempts = map[string]int{}
	}
	w.attempts[key]++
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s/%s/%d", w.state.Seed, key, w.attempts[key]) // a hash takes every write
	// The low bits of FNV-1a hardly depend on the first characters.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x%100 < uint64(w.faults.ThrottlePercent)
}

// crashDue returns what to do when this was the write to crash after; else
// nil. It happens once: a crash that is kept with the world would otherwise
// end every later command at the same place.
func (w *World) crashDue(*call) func() {
	if w.faults.CrashAtWrite <= 0 || w.writes < w.faults.CrashAtWrite {
		return nil
	}
	w.faults.CrashAtWrite = 0
	if w.faults.Crash != nil {
		return w.faults.Crash
	}
	return func() {
		if w.file != nil {
			if err := w.file.save(w); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
		os.Exit(137) // as a process that was killed
	}
}

// settle brings everything asynchronous up to the time of a call.
func (w *World) settle(c *call) {
	w.settlePolicyTypes(c)
	w.settleStackSets(c)
}

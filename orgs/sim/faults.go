package sim

import "time"

// Faults are the ways in which the simulated world misbehaves on purpose. The
// zero value is a world where nothing fails.
type Faults struct {
	// Latency is added to every call.
	Latency time.Duration `json:"latency,omitempty"`
	// ThrottlePercent of calls are answered with a throttling error.
	ThrottlePercent int `json:"throttle_percent,omitempty"`
	// Errors fail matching calls.
	Errors []Fault `json:"errors,omitempty"`
	// Aggregation is how AWS Config's aggregators are behind.
	Aggregation Aggregation `json:"aggregation,omitzero"`
	// CrashAtWrite ends the process right after the n-th write of this
	// process (1 is the first); 0 never. Crash is what then happens; nil
	// exits with status 137 after saving the state.
	CrashAtWrite int    `json:"crash_at_write,omitempty"`
	Crash        func() `json:"-"`
}

// Fault fails calls. An empty field matches everything.
type Fault struct {
	Service   string `json:"service,omitempty"`   // IAM prefix, e.g. "config"
	Operation string `json:"operation,omitempty"` // e.g. "StopConfigurationRecorder"
	Account   string `json:"account,omitempty"`
	Region    string `json:"region,omitempty"`
	Code      string `json:"code"`    // AWS error code, e.g. "InternalFailure"
	Message   string `json:"message"` // what AWS would say
	Times     int    `json:"times"`   // how many calls fail; 0: all
	// InStacks fails the calls that CloudFormation makes for a stack instead of those
	// that arrive.
	InStacks bool `json:"in_stacks,omitempty"`
}

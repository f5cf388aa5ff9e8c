package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/orgguard/orgguard/orgs/sim"
)

// simulatedFunction is what functions of the simulated organization run: this program,
// as it serves Lambda's runtime API, with the environment of the function and the
// identity that it has there. What it may do is what the function's role may.
func (s *session) simulatedFunction(ctx context.Context, as sim.Principal, env map[string]string, event []byte, log io.Writer) ([]byte, error) {
	g := globals{
		config: env["ORGGUARD_CONFIG"], configGiven: true, region: env["AWS_REGION"], concurrency: s.concurrency, quiet: true, noColor: true,
		within: &within{s.world, as},
	}
	f, err := newFunction(g, func(name string) string { return env[name] }, streams{in: strings.NewReader(""), out: log, err: io.Discard})
	if err != nil {
		return nil, err
	}
	f.settle = 0 // what happened in the simulated organization is seen at once
	d, err := f.handle(ctx, event)
	if err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

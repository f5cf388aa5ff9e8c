package main

import (
	"testing"

	"github.com/orgguard/orgguard/orgs/sim"
)

// demoWorld is the demo organization before any rollout, changed as the tests say.
func demoWorld(t testing.TB, change ...func(*sim.Spec)) *sim.World {
	t.Helper()
	scenario, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&scenario)
	}
	w, err := sim.New(scenario)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

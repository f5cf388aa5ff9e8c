// Package sim simulates an AWS organization in process: its accounts, Regions
// and policies, and of every service what orgguard uses.
//
// It sits behind the real SDK clients. A middleware at the end of their
// Finalize step takes the typed input and gives the typed output or an error
// with AWS's code, so signing, retries, throttling, pagination and input
// validation are the SDK's own and only the wire is missing. The access key in
// the signature tells who calls.
//
// It is a model of AWS and not a mock of our calls: what an operation does,
// its defaults, codes and page sizes come from AWS's documentation. Service
// control policies, identity policies, trust policies and resource policies
// are evaluated, with package scp; writes show up in CloudTrail and reach
// EventBridge; stack sets deploy into accounts, where policies can stop them.
// What is left out is named where it would be.
//
// A world is made of a [Spec] ([New], [Scenario], [Generate]) and lives in
// memory, or in a file between commands ([Create], [Open]). [Faults] make it
// misbehave.
//
// One mutex guards a world, and every call is answered under it: a call sees
// and leaves a consistent world, and the file on disk is always that of a
// moment between two calls. Services call each other through World.invoke, so
// that policies and CloudTrail apply to what a service does for a caller too.
//
// Nothing but package main and tests may import this package, and it imports
// of orgguard only scp, for its evaluator, and eventpattern.
package sim

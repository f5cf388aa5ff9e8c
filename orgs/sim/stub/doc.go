// Package stub is an endpoint on the loopback interface that speaks AWS's wire
// protocols for a large organization, to measure how fast orgguard audits one: JSON
// 1.0 and 1.1, REST JSON, the query protocol and S3's REST XML, with signatures read
// for who calls, latency, token buckets for each account × Region × service as far
// as AWS publishes them, a share of throttled answers, accounts that refuse the
// access role, and counts of calls and bytes by action.
//
// Behind it is a small simulated organization (package sim) that has been rolled
// out: a management account, a security account and one member, the model. Every
// other member is the model under another number, so that the stub's memory grows
// neither with accounts nor with Regions. Listings that name all accounts are
// generated page by page. An answer is worked out once and then sent again.
//
// It answers reads only, and those that an audit sends: whatever else is refused.
// Requests are not verified, only read.
//
// For benchmarks and tests; package main's program does not import it.
package stub

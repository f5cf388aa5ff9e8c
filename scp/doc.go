// Package scp reads, evaluates, tests and lints service control policies, as
// AWS documents them.
//
//	document.go, grammar.go, json.go   a policy from JSON, with positions and every mistake
//	statement.go, condition.go         what a statement matches, in three-valued logic
//	glob.go, template.go, value.go     wildcards, ARNs, policy variables, numbers, dates
//	evaluate.go, explain.go            the path from root to account: Decide and Evaluate
//	exempt.go                          whom the policies do not concern
//	refine.go, classes.go, automaton.go   what can be said when keys are not known
//	cases.go, casefile.go, runcases.go, starter.go   unit tests for policies
//	lint.go, lint_*.go, lintrules*.go  the linter; every rule with an example that is a test
//	refdata.go, refdata/               services, actions and condition keys, with their date
//	limits.go                          quotas, as data
//	differential_test.go               compared with an independent implementation, which runs apart
//	testdata/mutate/                   the tests tested: mistakes in the evaluator they must notice
//
// It imports nothing of orgguard: the simulated organization enforces its
// policies with this evaluator, the preview predicts with it and the reports
// print its results, so it lies below all of them. (Sub-packages may import
// orgs, which knows the tree.) It calls no AWS API, reads no clock, and no file
// but the case files it is asked to read. The evaluator itself is the standard
// library alone; YAML is for case files only.
//
// Three decisions shape it.
//
// A context key that is not known makes an answer unknown, never a guess: the
// logs and APIs from which requests are rebuilt lack many keys. An unknown
// answer is then tried with every completion of the context that the policies
// can tell apart, so that "denied if tagged, and denied if not" is a denial.
//
// Documents are compiled when they are parsed and never change. Evaluators for
// ten thousand accounts share them, and any number of goroutines may use one.
//
// Parsing accepts what AWS accepts, since an attached policy must be evaluated
// however odd it is; suspicion is the linter's business. Where AWS's
// documentation is silent the code says so at the place.
//
// The evaluator is held to the documentation from four sides: checked cases with
// their deciding statements (testdata/cases.jsonl), changes to policies that must
// not change an answer (metamorphic_test.go), every completion of an incomplete
// context (refine_test.go), and generated policies and requests that are put to
// another implementation as well (differential_test.go), with a table of the points
// where that one contradicts the documentation. "make mutate" then makes small
// mistakes in the evaluator and lists those that none of this notices; what cannot
// be noticed is in testdata/mutate/equivalent.txt, with the reason.
package scp

// Package schedule is the audit that runs by itself: what a machine, a cluster or
// a CI system needs in order to run "orgguard audit" again and again.
//
// A Job says what is to run and how often; a Target is an engine that can do it,
// and its files are rendered from templates/ with everything in them that the
// engine needs: the unit with its sandbox, the workflow with the role it assumes
// by OpenID Connect, the job with its volume. Rendering is pure: the same job gives
// the same bytes, and nothing is asked of AWS.
//
// Every value that comes from a configuration or a flag is quoted for the language
// it is put into, and refused where that language cannot say it.
//
// The package does not know the audit, reports or the command line: it knows the
// command's flags as text, and a test in cmd holds that text to the real flags.
package schedule

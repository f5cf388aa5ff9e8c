// Package reports renders what orgguard found, means to do and did: audits, plans
// and the results of rollouts, one file per format.
//
// It takes plain data (orgs/finding, orgs/plan and the types of this package) and
// writes bytes. It calls no AWS API, reads no clock and asks no terminal: colour
// and width are given in a Style, so that the same input always gives the same
// bytes, and a saved audit can be rendered again years later. That is why it does
// not import baseline either: rendering needs data, not the code that made it.
// Nobody else imports tablewriter, and nobody imports this package but cmd.
//
// A format is one entry in the renderers list (format.go) and one file:
//
//	json      for programs; published JSON Schemas in schema/
//	csv       for spreadsheets; one line per finding, safe to open
//	table     for a terminal
//	markdown  for a pull request or a chat
//	html      for an auditor; one file that loads nothing, assets/ embedded
//	sarif     for GitHub's code scanning and its kind
//	junit     for CI systems
//	asff      for AWS Security Hub
//	ocsf      for data lakes and SIEMs
//
// Comparisons, lists of runs and lifetimes of findings are written as table and json
// (runs.go); reports/history keeps the runs.
//
// Account names, OU names, resource names, tags and the texts of AWS's errors are
// hostile input: others chose them. Each format says in its file how it defuses
// them; Safe is what all formats for people's eyes begin with.
//
// The formats for people share one reading of an audit (digest.go): the verdict
// in one line, then drift, then what could not be looked at, then what is exempt,
// by account, with findings of one cause told once.
package reports

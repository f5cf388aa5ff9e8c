// Package eventpattern matches events against EventBridge event patterns and
// rewrites them with EventBridge input transformers.
//
// It follows the user guide ("Creating Amazon EventBridge event patterns",
// "Comparison operators", "Input transformation") and, where the guide is
// silent, what AWS's published rule engine documents about the same language.
// It knows nothing of AWS clients, rules or targets and imports the standard
// library only, so that both the simulated organization and the test of a
// rule on somebody's desk use the same judgement.
package eventpattern

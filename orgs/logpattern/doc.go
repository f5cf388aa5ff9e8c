// Package logpattern evaluates the filter patterns of CloudWatch Logs for JSON log
// events, such as those of a CloudTrail trail:
//
//	{ ($.errorCode = "AccessDenied*") && ($.eventName != "HeadBucket") }
//
// It knows what AWS documents for them: the operators =, !=, <, <=, > and >=,
// IS TRUE, IS FALSE, IS NULL and NOT EXISTS, && before ||, parentheses, and the
// asterisk at the ends of a text. Where AWS is silent it takes the side on which fewer
// events match: a comparison with a property that is not there, is null, or is an object
// or a list does not match, != included. Regular expressions (%…%) and the patterns for
// other than JSON events are refused.
//
// The simulated CloudWatch Logs filters with it, and the samples of controls that watch
// logs are tested with it.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
package logpattern

// Package survey looks at an organization before anything is rolled out: who we
// are in it, what it allows, what its accounts hold already. `orgguard doctor`
// judges a survey and `orgguard init` writes a configuration out of one; both
// judge data, so that what they say can be tested without AWS.
//
// Whatever cannot be read is in the survey with its error: one refusal hides
// nothing else. The package calls AWS and nothing but reads; it knows neither the
// baseline nor the SCP, which are above it.
package survey

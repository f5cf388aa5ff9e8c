// Package doctor judges a survey: what in an organization would make a rollout
// fail, or leave something out, and what to type about it. It is pure: it calls
// nothing, and the same survey and intent always give the same checks.
//
// What orgguard means to do comes in as an Intent, because doctor is below the
// baseline and the SCP: it knows quotas and who owns what, not controls.
package doctor

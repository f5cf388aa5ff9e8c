// Package finding is what an audit says: plain data that baseline and scp
// produce and reports render. It imports nothing of orgguard and calls nothing.
package finding

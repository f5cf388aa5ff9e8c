// Package proposal writes a configuration that fits an organization out of a
// survey of it. What it chooses it says why in a comment, and what it cannot know
// it leaves to the defaults and says so. It is pure, and what it writes loads: a
// test reads every proposal back.
package proposal

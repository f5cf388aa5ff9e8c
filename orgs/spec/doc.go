// Package spec is the configuration file, orgguard.yaml: its types, its strict
// decoder, its checks, its JSON Schema and its commented example.
//
// Whoever reads a configuration gets all of its problems at once, each with
// line and column, the bad value and the good ones; or a Config without any.
//
// The decoder is our own, a walk over the YAML nodes by reflection. The YAML
// library's stops at the first unknown key of a kind or gives no column, and
// turns 012345678901 into a number. Ours reads less YAML on purpose: no anchors,
// no tags, no second document, no hexadecimal numbers and no empty values,
// because each of these means something else to some other reader of the file,
// and a security baseline must mean one thing.
//
// What a single value may look like is said twice, here and in
// orgguard.schema.json, which editors use. The tests hold the two together: the
// same samples go through both, the patterns are compared as text, and whatever
// the decoder accepts while fuzzing must satisfy the schema.
//
// The package knows no control. The caller says in Known which ones exist and
// what their settings look like; a control reads its block with Control.Decode.
//
// It imports package orgs and the YAML library, and no AWS client: a
// configuration is checked without an organization. Whether an OU or an account
// exists is for orgs.Organization to say.
package spec

package journal

import "regexp"

// Redacted stands where a secret was.
const Redacted = "[redacted]"

// secrets are what credentials look like in the texts of errors and in values,
// as JSON writes them. Names of resources and the text of policies stay: an undo
// needs them.
var secrets = []struct {
	is   *regexp.Regexp
	with string
}{
	// Ids of access keys, of users and of sessions.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
	{regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{16}\b`), Redacted},
	// What a signed request carries; & is \u0026 in JSON as Go writes it.
	{regexp.MustCompile(`(?i)(X-Amz-(?:Signature|Security-Token|Credential))=[^&"\\\s]+`), "$1=" + Redacted},
	{regexp.MustCompile(`AWS4-HMAC-SHA256 [^"\\]*`), "AWS4-HMAC-SHA256 " + Redacted},
	// Values under a name that says what they are.
	{regexp.MustCompile(`(?i)("(?:password|secret|secret_?access_?key|session_?token|security_?token|authorization)":)"(?:[^"\\]|\\.)*"`), "$1\"" + Redacted + "\""},
}

// redact takes credentials out of an entry.
func redact(body []byte) []byte {
	for _, s := range secrets {
		body = s.is.ReplaceAll(body, []byte(s.with))
	}
	return body
}

package scp

import "slices"

// Ids of the lint rules. 1xx are errors and 2xx warnings; an id is never given
// to another rule.
const (
	ruleSyntax        = "SCP101"
	ruleDuplicateKey  = "SCP102"
	ruleElement       = "SCP103"
	rulePrincipal     = "SCP104"
	ruleMissing       = "SCP105"
	ruleVersion       = "SCP106"
	ruleOperator      = "SCP107"
	ruleAction        = "SCP108"
	ruleKeyFormat     = "SCP109"
	rulePlaceholder   = "SCP110"
	ruleARN           = "SCP111"
	ruleVariablePlace = "SCP112"
	ruleValue         = "SCP113"
	ruleSize          = "SCP114"
	ruleAttached      = "SCP115"
	ruleNoAllow       = "SCP116"
	ruleDenyAll       = "SCP117"
	ruleKeyTwice      = "SCP118"
	ruleVariable      = "SCP119"
	ruleDuplicateSid  = "SCP120"

	ruleUnknownService = "SCP201"
	ruleUnknownAction  = "SCP202"
	ruleUnknownKey     = "SCP203"
	ruleKeyForAction   = "SCP204"
	ruleNeedsSet       = "SCP205"
	ruleNeedlessSet    = "SCP206"
	ruleForAllValues   = "SCP207"
	ruleOftenAbsent    = "SCP208"
	ruleMFA            = "SCP209"
	ruleSourceIP       = "SCP210"
	ruleRegion         = "SCP211"
	ruleWildcard       = "SCP212"
	ruleAssumedRole    = "SCP213"
	ruleServiceLinked  = "SCP214"
	ruleAllowNotAction = "SCP215"
	ruleRedundant      = "SCP216"
	ruleNoSid          = "SCP217"
	ruleRepeated       = "SCP218"
	ruleEmpty          = "SCP219"
	ruleResourceLevel  = "SCP220"
	ruleSidCharacters  = "SCP221"
	ruleKeyType        = "SCP222"
	rulePrivateAddress = "SCP223"
	ruleNoVersion      = "SCP224"
)

// Rule documents a lint rule. Bad is a policy the rule reports and Good one it
// does not; a test runs both.
type Rule struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Why      string   `json:"why"`
	Fix      string   `json:"fix"`
	Link     string   `json:"link"`
	Good     string   `json:"good"`
	Bad      string   `json:"bad"`
	// Options are what the examples need to be told.
	Options LintOptions `json:"-"`
}

// Rules returns the documentation of every rule, by id.
func Rules() []Rule { return slices.Clone(rules) }

func ruleByID(id string) (Rule, bool) {
	for i := range rules {
		if rules[i].ID == id {
			return rules[i], true
		}
	}
	return Rule{}, false
}

const (
	guideIAM  = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
	guideOrgs = "https://docs.aws.amazon.com/organizations/latest/userguide/"
)

// wrap makes a policy of the inside of its statements.
func wrap(statements ...string) string {
	out := `{"Version": "2012-10-17", "Statement": [`
	for i, s := range statements {
		if i > 0 {
			out += ", "
		}
		out += "{" + s + "}"
	}
	return out + "]}"
}

// deny makes a policy of one Deny of s3:PutObject with a condition.
func deny(condition string) string {
	return wrap(`"Sid": "A", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*", "Condition": {` + condition + `}`)
}

// on makes a policy of one Deny with these matching elements.
func on(elements string) string { return wrap(`"Sid": "A", "Effect": "Deny", ` + elements) }

var goodPolicy = on(`"Action": "s3:DeleteBucket", "Resource": "*"`)

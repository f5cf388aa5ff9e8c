package scp

import (
	"net/netip"
	"slices"
	"strings"
)

// conditions checks the Condition element.
func (l *linter) conditions(s *statement) {
	for i := range s.conditions {
		c := &s.conditions[i]
		for j := range i {
			if o := &s.conditions[j]; o.key.lower == c.key.lower && o.op.name == c.op.name {
				l.report(ruleKeyTwice, c.keyText.off, s, "", "the key %s appears twice under %s, in different letter case", show(c.keyText.value), c.op.name)
			}
		}
		if len(c.written) == 0 {
			l.report(ruleEmpty, c.keyText.off, s, "", "%s of %s has no values", c.op.name, show(c.keyText.value))
		}
		for j := range c.written {
			l.value(s, c, j)
		}
		l.knownKey(s, c)
		l.sets(s, c)
		l.missingKey(s, c)
	}
	l.regionDeny(s)
}

// value checks one value against its operator.
func (l *linter) value(s *statement, c *condition, i int) {
	t, v := c.written[i], &c.values[i]
	if v.invalid {
		kind := map[opKind]string{opNumeric: "number", opDate: "date", opIP: "address or range", opNull: "boolean", opBinary: "base64 text"}[c.op.kind]
		l.report(ruleValue, t.off, s, "", "%s is no %s, so %s never compares with it", show(t.value), kind, c.op.name)
		return
	}
	switch c.op.kind {
	case opIP:
		if p, err := netip.ParsePrefix(strings.TrimSpace(t.value)); err == nil && p != p.Masked() {
			l.report(ruleValue, t.off, s, "write "+p.Masked().String(), "%s has bits set beyond the length of the range", show(t.value))
		}
		if c.key.lower == "aws:sourceip" && (v.prefix.Addr().IsPrivate() || v.prefix.Addr().IsLoopback()) {
			l.report(rulePrivateAddress, t.off, s, "", "%s is private, but aws:SourceIp holds public addresses only", show(t.value))
		}
	case opBool:
		if _, ok := parseBool(t.value); !ok && v.tmpl.parts == nil {
			l.report(ruleValue, t.off, s, "write true or false", "%s is no boolean, so it never matches", show(t.value))
		}
	case opARN:
		// A variable alone may hold a whole ARN.
		if len(v.tmpl.parts) != 1 && (v.tmpl.parts != nil || !onlyStars(v.tmpl.text)) {
			l.arn(s, t, "value")
		}
	case opStringEquals, opStringEqualsIgnoreCase:
		if v.tmpl.parts == nil && strings.ContainsAny(v.tmpl.text, "*?") && !strings.Contains(t.value, "${") && plausibleWildcard(t.value) {
			l.report(ruleWildcard, t.off, s, "", "%s compares the characters * and ? in %s as they stand", c.op.name, show(t.value))
		}
	}
	if c.key.lower == "aws:principalarn" {
		l.principalARN(s, c, t)
	}
}

// plausibleWildcard leaves out user agents and such, where a ? may be meant.
func plausibleWildcard(s string) bool {
	return strings.Contains(s, "*") || strings.HasPrefix(s, "arn:")
}

// principalARN checks what is compared with aws:PrincipalArn.
func (l *linter) principalARN(s *statement, c *condition, t text) {
	lower := strings.ToLower(t.value)
	switch {
	case strings.Contains(lower, ":assumed-role/"):
		l.report(ruleAssumedRole, t.off, s, "write the role: arn:aws:iam::ACCOUNT:role/NAME", "aws:PrincipalArn holds the role, never a session as in %s", show(t.value))
	case c.op.negated && strings.Contains(lower, ":role/aws-service-role/"):
		l.report(ruleServiceLinked, t.off, s, "", "service-linked roles are never affected, so exempting %s does nothing", show(t.value))
	}
}

// knownKey checks the key against the reference data.
func (l *linter) knownKey(s *statement, c *condition) {
	key := c.key.lower
	prefix, rest, _ := strings.Cut(key, ":")
	if l.ref == nil || rest == "" {
		return
	}
	if prefix == "aws" {
		if !spellingKnown(key) {
			l.report(ruleUnknownKey, c.keyText.off, s, didYouMean(c.keyText.value, globalKeys), "there is no global condition key %s", show(c.keyText.value))
			return
		}
	} else if !l.serviceKey(s, c, prefix) {
		return
	}
	l.keyType(s, c)
}

// serviceKey checks a key that is not global; false if it is not known.
func (l *linter) serviceKey(s *statement, c *condition, prefix string) bool {
	if strings.Contains(prefix, ".") {
		return false // an identity provider's domain; its keys are its own
	}
	known := l.ref.keys[prefix]
	if len(known) == 0 {
		l.report(ruleUnknownKey, c.keyText.off, s, "", "no service has condition keys that begin with %s: (data of %s)", show(prefix), l.ref.Date)
		return false
	}
	if !slices.ContainsFunc(known, func(k string) bool { return globMatch(keyPattern(k), c.key.lower, exactCase) }) {
		l.report(ruleUnknownKey, c.keyText.off, s, didYouMean(c.keyText.value, known), "there is no condition key %s (data of %s)", show(c.keyText.value), l.ref.Date)
		return false
	}
	if s.notAction {
		return true
	}
	for _, a := range s.actions {
		if a.value == "*" {
			continue
		}
		actions, with := 0, 0
		l.ref.match(a.value, func(sv *service, r *refAction) {
			actions++
			if sv.supports(r, c.key.lower) {
				with++
			}
		})
		if actions > 0 && with == 0 {
			what := "never matches"
			if c.op.negated || c.op.ifExists || c.op.set == forAllValues {
				what = "always matches"
			}
			l.report(ruleKeyForAction, c.keyText.off, s, "", "%s does not have the key %s, so this condition %s it", show(a.value), show(c.keyText.value), what)
		}
	}
	return true
}

// keyType compares the operator with the type of the key.
func (l *linter) keyType(s *statement, c *condition) {
	typ := strings.TrimPrefix(l.ref.keyType(c.key.lower), "ArrayOf")
	fits := true
	switch c.op.kind {
	case opNumeric:
		fits = typ == "Numeric" || c.key.lower == "aws:epochtime" || typ == ""
	case opDate:
		fits = typ == "Date" || typ == "Numeric" || typ == ""
	case opIP:
		fits = typ == "IPAddress" || typ == "" || typ == "String"
	case opBool:
		fits = typ == "Bool" || typ == "" || typ == "String"
	case opARN:
		fits = typ == "ARN" || typ == "" || typ == "String"
	case opStringEquals, opStringLike, opStringEqualsIgnoreCase:
		fits = typ != "IPAddress" && typ != "Numeric" && typ != "Date"
	}
	if !fits {
		l.report(ruleKeyType, c.opText.off, s, "", "%s does not fit %s, whose type is %s", c.op.name, c.key.name, typ)
	}
}

// multivalued says whether a key holds several values; known is false for keys
// outside the reference data.
func (l *linter) multivalued(c *condition) (multi, known bool) {
	if c.key.multi {
		return true, true
	}
	if l.ref == nil {
		return false, false
	}
	typ := l.ref.keyType(c.key.lower)
	return strings.HasPrefix(typ, "ArrayOf"), typ != ""
}

// sets checks the set operators.
func (l *linter) sets(s *statement, c *condition) {
	if c.op.kind == opNull {
		return
	}
	multi, known := l.multivalued(c)
	switch {
	case c.op.set == noQualifier && multi:
		l.report(ruleNeedsSet, c.opText.off, s, "", "%s holds several values; how %s compares them is not documented", c.key.name, c.op.name)
	case c.op.set != noQualifier && known && !multi:
		l.report(ruleNeedlessSet, c.opText.off, s, "use "+strings.TrimPrefix(strings.TrimPrefix(c.op.name, "ForAllValues:"), "ForAnyValue:"), "%s holds one value, so %s only changes what happens when it is missing", c.key.name, c.op.name)
	case c.op.set == forAllValues && s.effect == Allow && !s.requires(c.key.lower):
		l.report(ruleForAllValues, c.opText.off, s, "", "ForAllValues also matches a request without %s, so the Allow applies to those", c.key.name)
	case c.op.set == forAllValues && s.effect == Deny && !c.op.negated && !s.requires(c.key.lower):
		l.report(ruleForAllValues, c.opText.off, s, "", "ForAllValues also matches a request without %s, so the Deny applies to those", c.key.name)
	case c.op.set == forAllValues && s.effect == Deny && c.op.negated && c.key.lower == "aws:tagkeys":
		l.report(ruleForAllValues, c.opText.off, s, "use ForAnyValue with the opposite list", "one listed value among those of %s lifts the Deny, and the caller chooses them", c.key.name)
	}
}

// requires reports whether a statement applies only to requests with a key.
func (s *statement) requires(lower string) bool {
	return slices.ContainsFunc(s.conditions, func(c condition) bool {
		return c.key.lower == lower && c.op.kind == opNull && len(c.values) == 1 && !c.values[0].invalid && !c.values[0].flag
	})
}

// asks reports whether a statement has any condition on one of the keys.
func (s *statement) asks(keys ...string) bool {
	return slices.ContainsFunc(s.conditions, func(c condition) bool { return slices.Contains(keys, c.key.lower) })
}

// oftenAbsent are keys that most requests lack: a negated operator on them
// matches those requests.
var oftenAbsent = map[string]string{
	"aws:sourcevpc": "only requests through a VPC endpoint have it", "aws:sourcevpce": "only requests through a VPC endpoint have it",
	"aws:sourcevpcarn": "only requests through a VPC endpoint have it", "aws:vpcsourceip": "only requests through a VPC endpoint have it",
	"aws:vpceaccount": "only requests through a VPC endpoint have it", "aws:vpceorgid": "only requests through a VPC endpoint have it",
	"aws:vpceorgpaths": "only requests through a VPC endpoint have it",
	"aws:sourcearn":    "only calls that a service makes have it", "aws:sourceaccount": "only calls that a service makes have it",
	"aws:sourceorgid": "only calls that a service makes have it", "aws:sourceorgpaths": "only calls that a service makes have it",
	"aws:ec2instancesourcevpc": "only calls with an instance's credentials have it", "aws:ec2instancesourceprivateipv4": "only calls with an instance's credentials have it",
	"aws:resourceorgid": "not every action has it", "aws:resourceaccount": "not every action has it", "aws:resourceorgpaths": "not every action has it",
	"aws:multifactorauthage": "only sessions that used MFA have it", "aws:multifactorauthpresent": "calls with long-term access keys lack it",
}

// missingKey finds conditions that say something else than meant about
// requests that lack the key.
func (l *linter) missingKey(s *statement, c *condition) {
	if s.effect != Deny || c.op.set != noQualifier {
		return
	}
	guarded := s.asks("aws:viaawsservice", "aws:principalisawsservice", "aws:calledvia", "aws:calledviafirst", "aws:calledvialast")
	switch key := c.key.lower; {
	case key == "aws:multifactorauthpresent" && c.op.kind == opBool && !c.op.ifExists:
		if slices.ContainsFunc(c.values, func(t test) bool { return strings.EqualFold(t.tmpl.text, "false") }) {
			l.report(ruleMFA, c.opText.off, s, "", "calls with long-term access keys lack aws:MultiFactorAuthPresent, so this Deny misses them")
		}
	case key == "aws:sourceip" && c.op.negated && !guarded:
		l.report(ruleSourceIP, c.opText.off, s, "", "a service that calls on the caller's behalf has another address or none, so this Deny stops it")
	case c.op.negated && !c.op.ifExists && oftenAbsent[key] != "" && !guarded && !s.requires(key):
		l.report(ruleOftenAbsent, c.opText.off, s, "", "%s: %s, and %s matches all other requests", c.key.name, oftenAbsent[key], c.op.name)
	}
}

// globalServices are the services whose calls are made in us-east-1 wherever
// the caller works.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_examples_general.html#example-scp-deny-region
var globalServices = []string{"iam", "sts", "organizations", "route53", "cloudfront", "support"}

// regionDeny finds a statement that keeps callers to some Regions and forgets
// the global services.
func (l *linter) regionDeny(s *statement) {
	if s.effect != Deny {
		return
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		if c.key.lower != "aws:requestedregion" || !c.op.negated ||
			slices.ContainsFunc(c.written, func(t text) bool { return globMatch(wildcards(t.value), "us-east-1", exactCase) }) {
			continue
		}
		var stopped []string
		for _, g := range globalServices {
			if s.matchAction(g + ":x") {
				stopped = append(stopped, g)
			}
		}
		if len(stopped) > 0 {
			l.report(ruleRegion, c.opText.off, s, "list them in NotAction: "+`"`+strings.Join(stopped, `:*", "`)+`:*"`, "calls to %s run in us-east-1 and are denied", strings.Join(stopped, ", "))
		}
	}
}

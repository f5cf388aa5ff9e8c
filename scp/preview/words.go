package preview

import (
	"fmt"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/scp"
)

// operatorWords are the operators in words, without IfExists and set
// qualifiers; negated ones point to what they negate.
var operatorWords = map[string]struct {
	word    string
	negated bool
}{
	"StringEquals": {"is", false}, "StringNotEquals": {"is", true},
	"StringEqualsIgnoreCase": {"is (in any letter case)", false}, "StringNotEqualsIgnoreCase": {"is (in any letter case)", true},
	"StringLike": {"matches", false}, "StringNotLike": {"matches", true},
	"ArnEquals": {"matches", false}, "ArnLike": {"matches", false}, "ArnNotEquals": {"matches", true}, "ArnNotLike": {"matches", true},
	"NumericEquals": {"=", false}, "NumericNotEquals": {"=", true}, "NumericLessThan": {"<", false}, "NumericLessThanEquals": {"<=", false},
	"NumericGreaterThan": {">", false}, "NumericGreaterThanEquals": {">=", false},
	"DateEquals": {"is", false}, "DateNotEquals": {"is", true}, "DateLessThan": {"is before", false}, "DateLessThanEquals": {"is not after", false},
	"DateGreaterThan": {"is after", false}, "DateGreaterThanEquals": {"is not before", false},
	"Bool": {"is", false}, "BinaryEquals": {"is", false}, "IpAddress": {"is in", false}, "NotIpAddress": {"is in", true},
}

// conditionText is a condition of a statement in words: for a Deny "unless …"
// or "if …" it denies, for an Allow it allows.
func conditionText(key, operator string, values []string) string {
	base := operator
	set := ""
	if q, rest, ok := strings.Cut(operator, ":"); ok {
		set, base = q, rest
	}
	base, ifExists := strings.CutSuffix(base, "IfExists")
	shown := make([]string, len(values))
	for i, v := range values {
		shown[i] = fmt.Sprintf("%q", v)
	}
	list := strings.Join(shown, " or ")
	if len(shown) > 4 {
		list = strings.Join(shown[:4], ", ") + fmt.Sprintf(" or %d more", len(shown)-4)
	}
	if base == "Null" {
		if len(values) == 1 && strings.EqualFold(values[0], "true") {
			return "if " + key + " is absent"
		}
		return "if " + key + " is present"
	}
	w, ok := operatorWords[base]
	if !ok {
		return fmt.Sprintf("if %s %s %s", key, operator, list)
	}
	text := "if "
	if w.negated {
		text = "unless "
	}
	switch set {
	case "ForAllValues":
		text += "every value of "
	case "ForAnyValue":
		text += "a value of "
	}
	text += key + " " + w.word + " " + list
	if ifExists && !w.negated {
		text += ", or is absent"
	}
	return text
}

// dependsText are the conditions an answer turns on, in words.
func (w *world) dependsText(deps []scp.Dependency) []string {
	var out []string
	for _, d := range deps {
		text := conditionText(d.Key, d.Operator, d.Values)
		if d.Operator == "Resource" || d.Operator == "NotResource" {
			text = fmt.Sprintf("on %s, which stands in %s %s", d.Key, d.Operator, strings.Join(d.Values, ", "))
		} else if w.effectOf(d.Statement) == scp.Allow {
			text = "allowed only " + text
		} else {
			text = "denied " + text
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return out
}

// effectOf finds the effect of a statement that an evaluator named.
func (w *world) effectOf(ref scp.StatementRef) scp.Effect {
	for _, s := range []side{w.after, w.before} {
		for _, p := range s.docs {
			if p.Name != ref.Policy && p.ID != ref.Policy {
				continue
			}
			if all := p.Document.Statements(); ref.Index < len(all) && all[ref.Index].Sid == ref.Sid {
				return all[ref.Index].Effect
			}
		}
	}
	return scp.Deny
}

package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

// merged is a place in the policies on an account's path, taken together.
// https://docs.aws.amazon.com/organizations/latest/userguide/policy-operators.html
type merged struct {
	kids   map[string]*merged
	values []string
	set    bool
	single bool // one value, and no list of one
	// allowed are the operators that policies further down may use; nil for all. next
	// becomes so when the node's own policies are through.
	allowed, next []string
}

func (m *merged) kid(name string) *merged {
	if m.kids == nil {
		m.kids = map[string]*merged{}
	}
	if m.kids[name] == nil {
		m.kids[name] = &merged{}
	}
	return m.kids[name]
}

func (m *merged) may(operator string) bool {
	return m.allowed == nil || slices.Contains(m.allowed, "@@all") || slices.Contains(m.allowed, operator)
}

// stringsOf are the texts of a value that is one or a list of them.
func stringsOf(v any) (values []string, single bool) {
	list, ok := v.([]any)
	if !ok {
		list, single = []any{v}, true
	}
	for _, x := range list {
		if s, ok := x.(string); ok {
			values = append(values, s)
		}
	}
	return values, single
}

// add merges a policy's object into the place.
func (m *merged) add(object map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		values, single := stringsOf(object[key])
		switch inner, nested := object[key].(map[string]any); {
		case key == "@@operators_allowed_for_child_policies":
			m.next = append([]string{}, values...)
		case key == "@@assign" && m.may(key):
			m.values, m.single, m.set = values, single, true
		case key == "@@append" && m.may(key):
			m.values, m.set = slices.Concat(m.values, slices.DeleteFunc(values, func(v string) bool { return slices.Contains(m.values, v) })), true
		case key == "@@remove" && m.may(key):
			m.values = slices.DeleteFunc(slices.Clone(m.values), func(v string) bool { return slices.Contains(values, v) })
		case strings.HasPrefix(key, "@@"):
		case nested:
			m.kid(key).add(inner)
		default:
			if k := m.kid(key); k.may("@@assign") {
				k.values, k.single, k.set = values, single, true
			}
		}
	}
}

// down is the way to the policies of the next node.
func (m *merged) down() {
	if m.next != nil {
		m.allowed, m.next = m.next, nil
	}
	for _, k := range m.kids {
		k.down()
	}
}

// plain is the place without operators; nil where nothing is set.
func (m *merged) plain() any {
	if m.set {
		if m.single && len(m.values) == 1 {
			return m.values[0]
		}
		return append([]string{}, m.values...)
	}
	out := map[string]any{}
	for name, k := range m.kids {
		if v := k.plain(); v != nil {
			out[name] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// effective is what the policies of a type come to in an account; nil where none
// reaches it.
func (w *World) effective(account string, t types.PolicyType) any {
	o := &w.state.Org
	if !o.typeEnabled(t) || o.Accounts[account] == nil {
		return nil
	}
	all := &merged{}
	for _, node := range append(w.orgPath(account), account) {
		for _, id := range o.attachedOf(node, t) {
			var object map[string]any
			if json.Unmarshal([]byte(o.Policies[id].Content), &object) == nil {
				all.add(object)
			}
		}
		all.down()
	}
	return all.plain()
}

// describeEffectivePolicy answers the management account about any account, and any
// other about itself.
func describeEffectivePolicy(c *call, in *organizations.DescribeEffectivePolicyInput) (*organizations.DescribeEffectivePolicyOutput, error) {
	t, account := types.PolicyType(in.PolicyType), aws.ToString(in.TargetId)
	if !slices.Contains(in.PolicyType.Values(), in.PolicyType) {
		return nil, badPolicyType()
	}
	if account == "" {
		account = c.caller.Account
	}
	if account != c.caller.Account && !c.mayAskOrganizations(reader) {
		return nil, denied(c.service, "You don't have permissions to access this resource.")
	}
	if c.w.state.Org.Accounts[account] == nil {
		return nil, targetNotFound()
	}
	plain := c.w.effective(account, t)
	if plain == nil {
		return nil, &types.EffectivePolicyNotFoundException{Message: aws.String("There is no effective policy of the type for the account.")}
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	return &organizations.DescribeEffectivePolicyOutput{EffectivePolicy: &types.EffectivePolicy{
		PolicyContent: aws.String(string(text)), PolicyType: in.PolicyType, TargetId: aws.String(account), LastUpdatedTimestamp: aws.Time(c.now),
	}}, nil
}

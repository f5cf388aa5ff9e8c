package eventpattern

import (
	"fmt"
	"strconv"
	"strings"
)

// path is the subset of JSONPath that EventBridge takes: dots, array indexes
// and wildcards, e.g. $.detail.items[0].name or $.resources[*].
type path []step

// step goes to a field, to an element, or to all of them.
type step struct {
	name  string
	index int
	kind  stepKind
}

type stepKind int

const (
	fieldStep stepKind = iota
	indexStep
	allStep
)

func parsePath(text string) (path, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return nil, fmt.Errorf("path %q must start with $", text)
	}
	var p path
	for rest != "" {
		switch rest[0] {
		case '.':
			rest = rest[1:]
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			name := rest[:end]
			rest = rest[end:]
			switch name {
			case "":
				return nil, fmt.Errorf("path %q has an empty field name", text)
			case "*":
				p = append(p, step{kind: allStep})
			default:
				p = append(p, step{name: name})
			}
		case '[':
			inner, after, ok := strings.Cut(rest[1:], "]")
			if !ok {
				return nil, fmt.Errorf("path %q has a [ without ]", text)
			}
			rest = after
			s, err := bracket(inner)
			if err != nil {
				return nil, fmt.Errorf("path %q: %w", text, err)
			}
			p = append(p, s)
		default:
			return nil, fmt.Errorf("path %q: expected . or [ before %q", text, rest)
		}
	}
	return p, nil
}

func bracket(inner string) (step, error) {
	if inner == "*" {
		return step{kind: allStep}, nil
	}
	if n := len(inner); n >= 2 && inner[0] == inner[n-1] && (inner[0] == '\'' || inner[0] == '"') {
		return step{name: inner[1 : n-1]}, nil
	}
	i, err := strconv.Atoi(inner)
	if err != nil || i < 0 {
		return step{}, fmt.Errorf("[%s] is not an array index", inner)
	}
	return step{index: i, kind: indexStep}, nil
}

// find follows the path. A path with a wildcard yields an array of everything
// it leads to.
func (p path) find(v any) (any, bool) {
	found := []any{v}
	many := false
	for _, s := range p {
		var next []any
		for _, v := range found {
			next = s.follow(v, next)
		}
		found = next
		many = many || s.kind == allStep
	}
	switch {
	case many && len(found) > 0:
		return found, true
	case many || len(found) == 0:
		return nil, false
	}
	return found[0], true
}

func (s step) follow(v any, out []any) []any {
	switch v := v.(type) {
	case map[string]any:
		if s.kind == allStep {
			for _, k := range sortedKeys(v) {
				out = append(out, v[k])
			}
			return out
		}
		if child, ok := v[s.name]; ok && s.kind == fieldStep {
			return append(out, child)
		}
	case []any:
		switch {
		case s.kind == allStep:
			return append(out, v...)
		case s.kind == indexStep && s.index < len(v):
			return append(out, v[s.index])
		}
	case []string:
		switch {
		case s.kind == allStep:
			for _, e := range v {
				out = append(out, e)
			}
		case s.kind == indexStep && s.index < len(v):
			return append(out, v[s.index])
		}
	}
	return out
}

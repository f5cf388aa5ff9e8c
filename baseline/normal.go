package baseline

import (
	"slices"
	"strings"
)

// normal brings a decoded JSON value into one form: lists of strings sorted,
// lists of a single string reduced to it, booleans in conditions as text.
func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, x := range v {
			out[key] = normal(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		allStrings := true
		for i, x := range v {
			out[i] = normal(x)
			if _, ok := out[i].(string); !ok {
				allStrings = false
			}
		}
		if len(out) == 1 && allStrings {
			return out[0]
		}
		if allStrings {
			slices.SortFunc(out, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		}
		return out
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return v
}

package sim

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// props is a resource's evaluated properties. CloudFormation converts scalars
// to the type a property has, so "true" is true and 5 is "5".
type props map[string]any

func asProps(v any) props {
	m, _ := v.(map[string]any)
	return m
}

func (p props) has(name string) bool { return p[name] != nil }

func (p props) text(name string) string {
	if p[name] == nil {
		return ""
	}
	return scalarText(p[name])
}

// opt is a string property; nil when it is not there.
func (p props) opt(name string) *string {
	if p[name] == nil {
		return nil
	}
	s := scalarText(p[name])
	return &s
}

func (p props) obj(name string) props { return asProps(p[name]) }

func (p props) list(name string) []any {
	l, _ := p[name].([]any)
	return l
}

// texts is a property that is a list of strings.
func (p props) texts(name string) []string { return textList(p[name]) }

func (p props) boolean(name string) bool { return strings.EqualFold(p.text(name), "true") }

// document is a property that is a JSON document, given as an object or a string.
func (p props) document(name string) string {
	switch v := p[name].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return jsonText(v)
	}
}

// bind fills an SDK value with a property's value. Names in resource
// properties are those of the API in nearly every case; providers rename the
// others first.
func bind(v any, into any) error { return bindValue(v, reflect.ValueOf(into).Elem(), "#") }

func bindValue(v any, into reflect.Value, path string) error {
	if v == nil {
		return nil
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return bindValue(v, into.Elem(), path)
	case reflect.Struct:
		return bindStruct(v, into, path)
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		into.Set(reflect.MakeSlice(into.Type(), len(list), len(list)))
		for i, e := range list {
			if err := bindValue(e, into.Index(i), path+"/"+strconv.Itoa(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		m, ok := v.(map[string]any)
		if !ok {
			return bindMismatch(path, "JSONObject", v)
		}
		into.Set(reflect.MakeMap(into.Type()))
		for _, k := range sortedKeys(m) {
			e := reflect.New(into.Type().Elem()).Elem()
			if err := bindValue(m[k], e, path+"/"+k); err != nil {
				return err
			}
			into.SetMapIndex(reflect.ValueOf(k).Convert(into.Type().Key()), e)
		}
		return nil
	default:
		return bindScalar(v, into, path)
	}
}

func bindStruct(v any, into reflect.Value, path string) error {
	m, ok := v.(map[string]any)
	if !ok {
		return bindMismatch(path, "JSONObject", v)
	}
	for _, k := range sortedKeys(m) {
		f := into.FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, k) })
		if !f.IsValid() || !f.CanSet() {
			return validationError("Properties validation failed with message: %s: extraneous key [%s] is not permitted", path, k)
		}
		if err := bindValue(m[k], f, path+"/"+k); err != nil {
			return err
		}
	}
	return nil
}

func bindScalar(v any, into reflect.Value, path string) error {
	if !isScalar(v) {
		return bindMismatch(path, "String", v)
	}
	text := scalarText(v)
	switch into.Kind() {
	case reflect.String:
		into.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return bindMismatch(path, "Boolean", v)
		}
		into.SetBool(b)
	case reflect.Int32, reflect.Int64, reflect.Int:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return bindMismatch(path, "Integer", v)
		}
		into.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return bindMismatch(path, "Number", v)
		}
		into.SetFloat(n)
	default:
		return bindMismatch(path, into.Kind().String(), v)
	}
	return nil
}

func bindMismatch(path, want string, v any) error {
	return validationError("Properties validation failed with message: %s: expected type: %s, found: %s", path, want, jsonKind(v))
}

func jsonKind(v any) string {
	switch v.(type) {
	case map[string]any:
		return "JSONObject"
	case []any:
		return "JSONArray"
	default:
		return "String"
	}
}

// renamed is a copy of a property object with keys changed, for the few that
// the API spells differently.
func renamed(v any, names map[string]string) map[string]any {
	out := map[string]any{}
	for k, e := range asProps(v) {
		if to, ok := names[k]; ok {
			k = to
		}
		out[k] = e
	}
	return out
}

// driftOf compares the template's properties with the live ones and names
// those that differ. Only what the template sets and the type can read counts.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
func driftOf(want props, live map[string]any) []string {
	var out []string
	for _, name := range sortedKeys(live) {
		if want[name] != nil && !sameProperty(want[name], live[name]) {
			out = append(out, name)
		}
	}
	return out
}

// sameProperty compares after the conversions the services make: documents
// given as text, scalars given as another type, lists in another order.
func sameProperty(want, live any) bool {
	want, live = plain(want), plain(live)
	switch w := want.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range w {
			if !sameProperty(v, l[k]) {
				return false
			}
		}
		return true
	case []any:
		l, ok := live.([]any)
		if !ok {
			l = []any{live} // a policy may write a list of one without the list
		}
		return sameList(w, l)
	default:
		if l, ok := live.([]any); ok && len(l) == 1 {
			live = l[0]
		}
		return scalarText(want) == scalarText(live)
	}
}

func sameList(want, live []any) bool {
	if len(want) != len(live) {
		return false
	}
	used := make([]bool, len(live))
	for _, w := range want {
		i := slices.IndexFunc(live, func(l any) bool { return sameProperty(w, l) })
		for i >= 0 && used[i] {
			next := slices.IndexFunc(live[i+1:], func(l any) bool { return sameProperty(w, l) })
			if next < 0 {
				return false
			}
			i += next + 1
		}
		if i < 0 {
			return false
		}
		used[i] = true
	}
	return true
}

// plain reads a JSON document out of a string, and SDK values into plain ones.
func plain(v any) any {
	switch t := v.(type) {
	case string:
		if s := strings.TrimSpace(t); strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
			var out any
			if json.Unmarshal([]byte(s), &out) == nil {
				return out
			}
		}
		return t
	case nil, bool, json.Number, float64, map[string]any, []any:
		return numberless(t)
	case *string:
		if t == nil {
			return nil
		}
		return *t
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		var out any
		if json.Unmarshal(raw, &out) != nil {
			return string(raw)
		}
		return dropNull(out)
	}
}

// numberless spells a decoded number as the template would.
func numberless(v any) any {
	if f, ok := v.(float64); ok {
		return json.Number(strconv.FormatFloat(f, 'f', -1, 64))
	}
	return v
}

// dropNull takes away the null members that SDK structures marshal to.
func dropNull(v any) any {
	switch t := v.(type) {
	case map[string]any:
		for k, e := range t {
			if e == nil {
				delete(t, k)
			} else {
				t[k] = dropNull(e)
			}
		}
	case []any:
		for i := range t {
			t[i] = dropNull(t[i])
		}
	}
	return v
}

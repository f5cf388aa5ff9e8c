package notice

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

const (
	// maxOutput bounds what a template writes, and maxPiece what a function in it makes
	// of its arguments, in bytes.
	maxOutput = 256 << 10
	maxPiece  = 4096
	// maxLoops is how deep loops may stand in one another.
	maxLoops = 2
)

// functions are those that a template may call. Some of Go's own are left out: call,
// html, js and urlquery have no use here, and print and printf could make a text
// greater than memory.
var functions = template.FuncMap{
	"print":   func(args ...any) (string, error) { return piece(fmt.Sprint(args...)) },
	"println": func(args ...any) (string, error) { return piece(fmt.Sprintln(args...)) },
	"printf": func(format string, args ...any) (string, error) {
		if len(format) > maxPiece {
			return "", errors.New("the format is too long")
		}
		return piece(fmt.Sprintf(format, args...))
	},
}

// known are the functions by name, with those of Go's that may be called.
var known = []string{"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice", "print", "printf", "println"}

func piece(s string) (string, error) {
	if len(s) > maxPiece {
		return "", fmt.Errorf("more than %d bytes at once", maxPiece)
	}
	return s, nil
}

// textTemplate is a template that has been checked.
type textTemplate struct{ t *template.Template }

// parseTemplate reads a template and checks it.
func parseTemplate(name, text string) (*textTemplate, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "template: "))
	}
	if len(t.Templates()) > 1 {
		return nil, fmt.Errorf("%s: define and block have no use here: a template is one text", name)
	}
	if t.Tree == nil || t.Root == nil { // nothing but comments
		t = template.Must(template.New(name).Parse(" "))
	}
	w := walker{name: name, tree: t.Tree}
	w.list(t.Root, scope{dot: reflect.TypeFor[View](), vars: map[string]reflect.Type{"$": reflect.TypeFor[View]()}}, 0)
	if len(w.problems) > 0 {
		return nil, errors.Join(w.problems...)
	}
	out := &textTemplate{t}
	// What only shows when it runs: an index that there is not, say.
	for _, v := range []View{sample(), {}} {
		if _, err := out.run(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// run executes the template.
func (t *textTemplate) run(v View) (string, error) {
	var b bounded
	if err := t.t.Execute(&b, v); err != nil {
		return "", errors.New(strings.TrimPrefix(err.Error(), "template: "))
	}
	return b.String(), nil
}

// bounded is a buffer that takes no more than maxOutput.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("the text has more than %d bytes", maxOutput)
	}
	return b.Buffer.Write(p)
}

// scope is what a part of a template sees. A type is nil where only the run tells.
type scope struct {
	dot  reflect.Type
	vars map[string]reflect.Type
}

func (s scope) inner(dot reflect.Type) scope {
	vars := make(map[string]reflect.Type, len(s.vars))
	for k, v := range s.vars {
		vars[k] = v
	}
	return scope{dot, vars}
}

// walker looks for what a template may not say, in every branch, taken or not.
type walker struct {
	name     string
	tree     *parse.Tree
	problems []error
}

func (w *walker) fail(n parse.Node, format string, args ...any) {
	at, _ := w.tree.ErrorContext(n)
	if len(w.problems) < 20 {
		w.problems = append(w.problems, fmt.Errorf(at+": "+format, args...))
	}
}

func (w *walker) list(l *parse.ListNode, s scope, loops int) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			w.pipe(n.Pipe, s)
		case *parse.IfNode:
			in := s.inner(s.dot)
			w.pipe(n.Pipe, in)
			w.list(n.List, in, loops)
			w.list(n.ElseList, in, loops)
		case *parse.WithNode:
			in := s.inner(s.dot)
			in.dot = w.pipe(n.Pipe, in)
			w.list(n.List, in, loops)
			w.list(n.ElseList, s.inner(s.dot), loops)
		case *parse.RangeNode:
			in := s.inner(s.dot)
			in.dot = w.loop(n, in)
			if loops == maxLoops {
				w.fail(n, "more than %d loops in one another", maxLoops)
				return
			}
			w.list(n.List, in, loops+1)
			w.list(n.ElseList, s.inner(s.dot), loops)
		case *parse.TemplateNode:
			w.fail(n, "template has no use here: a template is one text")
		}
	}
}

// loop is the type of what a loop goes over, one by one.
func (w *walker) loop(n *parse.RangeNode, s scope) reflect.Type {
	typ := w.commands(n.Pipe, s)
	var item reflect.Type
	switch {
	case typ == nil:
		w.fail(n, "range goes over New, Worse, Resolved or Unreached")
	case typ.Kind() == reflect.Slice:
		item = typ.Elem()
	default:
		w.fail(n, "range goes over a list, and this is a %s", typ.Kind())
	}
	for i, v := range n.Pipe.Decl {
		s.vars[v.Ident[0]] = item
		if i == 0 && len(n.Pipe.Decl) == 2 {
			s.vars[v.Ident[0]] = reflect.TypeFor[int]()
		}
	}
	return item
}

// pipe is the type of a pipeline's value; its variables become known in s.
func (w *walker) pipe(p *parse.PipeNode, s scope) reflect.Type {
	typ := w.commands(p, s)
	for _, v := range p.Decl {
		s.vars[v.Ident[0]] = typ
		if p.IsAssign {
			s.vars[v.Ident[0]] = nil // it may be one thing or the other from here on
		}
	}
	return typ
}

func (w *walker) commands(p *parse.PipeNode, s scope) (typ reflect.Type) {
	for _, c := range p.Cmds {
		typ = nil
		for i, arg := range c.Args {
			t := w.value(arg, s)
			if i == 0 && len(c.Args) == 1 {
				typ = t
			}
		}
	}
	return typ
}

// value is the type of an argument.
func (w *walker) value(n parse.Node, s scope) reflect.Type {
	switch n := n.(type) {
	case *parse.DotNode:
		return s.dot
	case *parse.FieldNode:
		return w.fields(n, s.dot, n.Ident)
	case *parse.VariableNode:
		return w.fields(n, s.vars[n.Ident[0]], n.Ident[1:])
	case *parse.ChainNode:
		return w.fields(n, w.value(n.Node, s), n.Field)
	case *parse.PipeNode:
		return w.pipe(n, s)
	case *parse.IdentifierNode:
		if !slices.Contains(known, n.Ident) {
			w.fail(n, "function %q is not for messages; there are %s", n.Ident, strings.Join(known, ", "))
		}
	}
	return nil
}

// fields follows names of fields.
func (w *walker) fields(n parse.Node, typ reflect.Type, names []string) reflect.Type {
	for _, name := range names {
		if typ == nil || typ.Kind() != reflect.Struct {
			w.fail(n, "unknown field %s: what stands before it has no fields", name)
			return nil
		}
		f, ok := typ.FieldByName(name)
		if !ok {
			var good []string
			for i := range typ.NumField() {
				good = append(good, typ.Field(i).Name)
			}
			w.fail(n, "unknown field %s; there are %s", name, strings.Join(good, ", "))
			return nil
		}
		typ = f.Type
	}
	return typ
}

// sample is a view in which everything is said.
func sample() View {
	line := Line{"HIGH", "300000000001", "shop-prod", "Root/Workloads/Prod", "ap-northeast-1", "config-recorder", "default", "the recorder is stopped", "orgguard rollout", 1}
	lines := []Line{line, line}
	return View{
		Organization: "o-example", Run: 12, Runs: 2, Skipped: 1, At: "2027-03-31 06:00 UTC", Since: "2027-03-30 06:00 UTC", Accounts: 14, Part: true, Interrupted: true, Test: true,
		Counts: Counts{2, 2, 2, 1}, Drift: 3, NotAssessed: 1, New: lines, Worse: lines, Resolved: lines, MoreNew: 1, MoreWorse: 1, MoreResolved: 1,
		Report: "https://audits.example.com/12", Unreached: []string{"webhook pager"},
	}
}

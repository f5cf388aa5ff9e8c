// Command mutate checks the tests of the evaluator: it makes small mistakes in the
// evaluator's code, one at a time, and reports those that no test notices. It is a
// tool for the developers of scp, run by "make mutate"; nothing is changed on disk,
// since a mistake goes to the compiler as an overlay.
//
// A mutant that cannot be told from the original by any input is equivalent;
// equivalent.txt lists those with the reason. Any other survivor is a test that is
// missing, and the exit code is 1.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// files are the evaluator's; the case files, the linter and the reference data are
// not part of a decision.
var files = []string{
	"automaton.go", "classes.go", "condition.go", "evaluate.go", "exempt.go", "explain.go", "glob.go", "grammar.go", "keys.go",
	"kleene.go", "operator.go", "refine.go", "statement.go", "template.go", "value.go",
}

const (
	// quick are the tests that notice most mistakes; slow only run when these pass.
	quick = "^Test(Conditions|Versions|Matching|SeveralResources|Exemptions|Cases|CasesInFull|DependsOn|Mutants.*|Parse.*|NoLevels|LevelWithoutPolicies|ContextSpelledTwice)$"
	slow  = "^(Test(Metamorphic|HidingKeysOnlyMakesUnknown|UnknownIffCompletionsDiffer|ConcurrentUse|DocumentIsImmutable|RuleExamples|Lint.*|Compile.*|Result.*|DecideDoesNotAllocate|Starter.*)|Fuzz.*)$"

	testTimeout = 90 * time.Second
)

// mutant is one mistake: apply makes it in the parsed file and undo takes it back.
type mutant struct {
	file, function string
	line           int
	from, to       string
	apply, undo    func()
	ordinal        int
}

// key names a mutant without its line, so that the list of equivalent ones
// survives other changes to the file.
func (m *mutant) key() string {
	k := fmt.Sprintf("%s %s: %s => %s", m.file, m.function, m.from, m.to)
	if m.ordinal > 1 {
		k += fmt.Sprintf(" #%d", m.ordinal)
	}
	return k
}

func main() {
	dir := flag.String("dir", "scp", "the package's `folder`")
	most := flag.Int("max", 220, "try at most `N` mutants, taken evenly")
	offset := flag.Int("offset", 0, "begin with the mutant of this `number`, to try others than last time")
	budget := flag.Duration("budget", 15*time.Minute, "stop after this long")
	only := flag.String("only", "", "only mutants whose key matches this `regexp`")
	list := flag.Bool("list", false, "list the mutants and try none")
	flag.Parse()
	if err := run(*dir, *most, *offset, *budget, *only, *list); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(dir string, most, offset int, budget time.Duration, only string, list bool) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	equivalent, err := readEquivalent(filepath.Join(dir, "testdata", "mutate", "equivalent.txt"))
	if err != nil {
		return err
	}
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	var all []*mutant
	parsed := map[string]*ast.File{}
	for _, name := range files {
		f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			return err
		}
		parsed[name] = f
		all = append(all, mutants(fset, name, f)...)
	}
	seen := map[string]int{}
	var chosen []*mutant
	for _, m := range all {
		base := m.key()
		seen[base]++
		m.ordinal = seen[base]
		if pattern.MatchString(m.key()) {
			chosen = append(chosen, m)
		}
	}
	if list {
		for _, m := range chosen {
			fmt.Printf("%s:%d: %s\n", m.file, m.line, m.key())
		}
		fmt.Printf("%d mutants\n", len(chosen))
		return nil
	}
	work, err := os.MkdirTemp("", "orgguard-mutate-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	t := &tester{dir: dir, work: work, fset: fset}
	if out := t.baseline(); out != "" {
		return fmt.Errorf("the tests fail without any mutant: %s", out)
	}
	counts, deadline := map[string]int{}, time.Now().Add(budget)
	var survivors []string
	tried := sample(chosen, most, offset)
	for i, m := range tried {
		if time.Now().After(deadline) {
			fmt.Printf("stopped after %s: %d of %d mutants not tried\n", budget, len(tried)-i, len(tried))
			break
		}
		verdict := "equivalent"
		if equivalent[m.key()] == "" {
			m.apply()
			verdict, err = t.try(m.file, parsed[m.file])
			m.undo()
			if err != nil {
				return fmt.Errorf("%s: %w", m.key(), err)
			}
		}
		counts[verdict]++
		if verdict == "survived" {
			survivors = append(survivors, fmt.Sprintf("%s:%d: %s", m.file, m.line, m.key()))
			fmt.Println("SURVIVED", survivors[len(survivors)-1])
		}
	}
	fmt.Printf("%d mutants in all; killed %d, killed by timeout %d, equivalent %d, not compiling %d, survived %d\n",
		len(chosen), counts["killed"], counts["timeout"], counts["equivalent"], counts["not compiling"], len(survivors))
	if len(survivors) > 0 {
		return fmt.Errorf("%d mutants survived: add tests, or list them with a reason in equivalent.txt", len(survivors))
	}
	return nil
}

// sample takes at most n of the mutants, evenly.
func sample(all []*mutant, n, offset int) []*mutant {
	if len(all) <= n {
		return all
	}
	out := make([]*mutant, n)
	for i := range out {
		out[i] = all[(i*len(all)/n+offset)%len(all)]
	}
	return out
}

// readEquivalent reads lines of key, tab, reason; # begins a comment.
func readEquivalent(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	out := map[string]string{}
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		line := s.Text()
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, reason, _ := strings.Cut(line, "\t")
		if strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s:%d: want a mutant, a tab and the reason", path, n)
		}
		out[key] = reason
	}
	return out, s.Err()
}

// tester compiles the package's tests with a mutant in it and runs them.
type tester struct {
	dir, work string
	fset      *token.FileSet
}

func (t *tester) baseline() string {
	if out, err := t.compile(`{"Replace":{}}`); err != nil {
		return out
	}
	for _, tests := range []string{quick, slow} {
		if verdict, out := t.test(tests); verdict != "" {
			return out
		}
	}
	return ""
}

// try says what becomes of the mutant that was made in f.
func (t *tester) try(name string, f *ast.File) (string, error) {
	var src bytes.Buffer
	if err := format.Node(&src, t.fset, f); err != nil {
		return "", err
	}
	path := filepath.Join(t.work, name)
	if err := os.WriteFile(path, src.Bytes(), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(t.dir, name): path}})
	if err != nil {
		return "", err
	}
	if _, err := t.compile(string(overlay)); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "not compiling", nil
		}
		return "", err
	}
	for _, tests := range []string{quick, slow} {
		if verdict, _ := t.test(tests); verdict != "" {
			return verdict, nil
		}
	}
	return "survived", nil
}

func (t *tester) compile(overlay string) (string, error) {
	path := filepath.Join(t.work, "overlay.json")
	if err := os.WriteFile(path, []byte(overlay), 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", path, "-o", t.binary(), ".")
	cmd.Dir = t.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (t *tester) binary() string { return filepath.Join(t.work, "scp.test") }

// test returns "" when the tests pass.
func (t *tester) test(tests string) (verdict, out string) {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	// An endless loop that allocates would take the machine with it.
	cmd := exec.CommandContext(ctx, "sh", "-c", `ulimit -v 4194304; exec "$0" "$@"`, t.binary(), "-test.run", tests, "-test.failfast")
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=1GiB", "GOMAXPROCS=1")
	b, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return "timeout", string(b)
	case err != nil:
		return "killed", string(b)
	}
	return "", string(b)
}

// mutants lists the mistakes that can be made in a file.
func mutants(fset *token.FileSet, name string, f *ast.File) []*mutant {
	var out []*mutant
	for _, d := range f.Decls {
		c := &collector{fset: fset, file: name, function: "(package)"}
		if fn, ok := d.(*ast.FuncDecl); ok {
			c.function = fn.Name.Name
		}
		if g, ok := d.(*ast.GenDecl); ok && g.Tok != token.VAR {
			continue // types, and constants whose values are names
		}
		ast.Inspect(d, c.visit)
		out = append(out, c.out...)
	}
	return out
}

type collector struct {
	fset           *token.FileSet
	file, function string
	out            []*mutant
}

// add notes a mistake; change makes it and returns how to take it back.
func (c *collector) add(n ast.Node, from, to string, change func() func()) {
	m := &mutant{file: c.file, function: c.function, line: c.fset.Position(n.Pos()).Line, from: from, to: to}
	var undo func()
	m.apply = func() { undo = change() }
	m.undo = func() { undo() }
	c.out = append(c.out, m)
}

func (c *collector) text(n ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, c.fset, n); err != nil {
		return "?"
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// exchange replaces an expression through a pointer to it.
func (c *collector) exchange(n ast.Node, at *ast.Expr, to ast.Expr) {
	old := *at
	c.add(n, c.text(old), c.text(to), func() func() {
		*at = to
		return func() { *at = old }
	})
}

var otherOperator = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR, token.EQL: token.NEQ, token.NEQ: token.EQL,
	token.LAND: token.LOR, token.LOR: token.LAND, token.ADD: token.SUB, token.SUB: token.ADD,
}

// otherName are the names that are exchanged wherever they stand as values: truth
// values, letter case, conjunction and disjunction.
var otherName = map[string]string{
	"yes": "maybe", "no": "maybe", "maybe": "no", "true": "false", "false": "true", "exactCase": "foldCase", "foldCase": "exactCase", "min": "max", "max": "min",
}

func (c *collector) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if other, ok := otherOperator[n.Op]; ok {
			was := n.Op
			to := *n
			to.Op = other
			c.add(n, c.text(n), c.text(&to), func() func() {
				n.Op = other
				return func() { n.Op = was }
			})
		}
		c.value(n, &n.X)
		c.value(n, &n.Y)
	case *ast.IfStmt:
		c.exchange(n, &n.Cond, &ast.UnaryExpr{Op: token.NOT, X: &ast.ParenExpr{X: n.Cond}})
	case *ast.CallExpr:
		c.call(n)
		for i := range n.Args {
			c.value(n, &n.Args[i])
		}
		c.value(n, &n.Fun)
	case *ast.ReturnStmt:
		for i := range n.Results {
			c.value(n, &n.Results[i])
		}
	case *ast.AssignStmt:
		for i := range n.Rhs {
			c.value(n, &n.Rhs[i])
		}
	case *ast.IndexExpr:
		c.value(n, &n.Index)
	case *ast.SliceExpr:
		for _, e := range []*ast.Expr{&n.Low, &n.High} {
			if *e != nil {
				c.value(n, e)
			}
		}
	case *ast.CaseClause:
		for i := range n.List {
			c.value(n, &n.List[i])
			if _, literal := n.List[i].(*ast.BasicLit); !literal && c.isCondition(n.List[i]) {
				c.exchange(n, &n.List[i], &ast.UnaryExpr{Op: token.NOT, X: &ast.ParenExpr{X: n.List[i]}})
			}
		}
	case *ast.KeyValueExpr:
		c.value(n, &n.Value)
	case *ast.BranchStmt:
		if n.Label == nil && (n.Tok == token.BREAK || n.Tok == token.CONTINUE) {
			was, other := n.Tok, map[token.Token]token.Token{token.BREAK: token.CONTINUE, token.CONTINUE: token.BREAK}[n.Tok]
			c.add(n, was.String(), other.String(), func() func() {
				n.Tok = other
				return func() { n.Tok = was }
			})
		}
	}
	return true
}

// isCondition guesses whether a case is a condition rather than a value.
func (c *collector) isCondition(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return e.Op != token.ADD && e.Op != token.SUB
	case *ast.UnaryExpr:
		return e.Op == token.NOT
	case *ast.CallExpr:
		return true
	}
	return false
}

// value changes names with another one, and whole numbers by one.
func (c *collector) value(n ast.Node, at *ast.Expr) {
	switch e := (*at).(type) {
	case *ast.Ident:
		if other := otherName[e.Name]; other != "" {
			c.exchange(n, at, &ast.Ident{NamePos: e.NamePos, Name: other})
		}
	case *ast.BasicLit:
		if v, err := strconv.ParseInt(e.Value, 0, 64); err == nil && e.Kind == token.INT {
			c.exchange(n, at, &ast.BasicLit{ValuePos: e.ValuePos, Kind: token.INT, Value: strconv.FormatInt(v+1, 10)})
		}
	}
}

// call drops what a call does: folding case, trimming, negating, marking wildcards.
func (c *collector) call(n *ast.CallExpr) {
	switch fun := c.text(n.Fun); {
	case fun == "strings.ToLower" || fun == "strings.TrimSpace" || fun == "lowerByte" || fun == "wildcards":
		c.rewrite(n, n.Args[0])
	case fun == "strings.EqualFold":
		c.rewrite(n, &ast.BinaryExpr{X: n.Args[0], Op: token.EQL, Y: n.Args[1]})
	case strings.HasSuffix(fun, ".not"):
		c.rewrite(n, n.Fun.(*ast.SelectorExpr).X)
	}
}

// rewrite puts an expression in the place of a call. It does so from within, as a
// call of a function without a name, which is printed as the expression between
// parentheses.
func (c *collector) rewrite(n *ast.CallExpr, to ast.Expr) {
	was := *n
	c.add(n, c.text(n), c.text(to), func() func() {
		n.Fun, n.Args = &ast.Ident{}, []ast.Expr{to}
		return func() { *n = was }
	})
}

package scp

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func noPolicyFile(string) ([]byte, error) { return nil, fs.ErrNotExist }

// wantProblem parses a case file and wants one of its problems to begin so.
func wantProblem(t *testing.T, name, src, want string) {
	t.Helper()
	_, err := parseCases(name, []byte(src), noPolicyFile)
	if err == nil || !strings.Contains("\n"+err.Error(), "\n"+want) {
		t.Errorf("%s: want %q, got %.300v", name, want, err)
	}
}

// TestLoadCasesNestedTooDeeply: what is nested without end is refused at once,
// before a parser takes memory by the square of the depth.
func TestLoadCasesNestedTooDeeply(t *testing.T) {
	const n = 200_000
	var steps strings.Builder
	for i := range 2000 {
		steps.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for name, src := range map[string]string{
		"lists.yaml":    strings.Repeat("[", n),
		"maps.yaml":     strings.Repeat("{a: ", n),
		"entries.yaml":  strings.Repeat("- ", n) + "x",
		"keys.yaml":     strings.Repeat("? ", n) + "x",
		"steps.yaml":    steps.String(),
		"lists.json":    strings.Repeat("[", n),
		"maps.json":     strings.Repeat(`{"a":`, n),
		"list.jsonl":    strings.Repeat("[", n),
		"documents.yml": "a: 1\n---\n" + strings.Repeat("[", n),
	} {
		_, err := parseCases(name, []byte(src), noPolicyFile)
		if err == nil || !strings.Contains(err.Error(), "nested ") {
			t.Errorf("%s: got %.200v", name, err)
		}
	}
}

// TestLoadCasesDepthIsOfNestingOnly: brackets in text, and blocks that follow one
// another, are not nested.
func TestLoadCasesDepthIsOfNestingOnly(t *testing.T) {
	const one = `{id: %, org: {path: [{type: ROOT, id: r, policies: [FullAWSAccess]}]}, principal: {type: user}, request: {action: "s3:GetObject"}, expected: {decision: ALLOW}}`
	src := "# " + strings.Repeat("[", 1000) + "\nnote: \"" + strings.Repeat("{", 1000) + "\"\ntext: |\n  " + strings.Repeat("[{", 1000) + "\ncases:\n"
	for i := range 200 {
		src += "  - " + strings.Replace(one, "%", `"`+strings.Repeat("[", 20)+string(rune('a'+i%26))+strings.Repeat("x", i)+`"`, 1) + "\n"
	}
	cases, err := parseCases("c.yaml", []byte(src), noPolicyFile)
	if err != nil || len(cases) != 200 || RunCases(cases).Failed > 0 {
		t.Errorf("%d cases, %v", len(cases), err)
	}
}

// TestLoadCasesAliases: a few lines of aliases of aliases stand for a terabyte.
func TestLoadCasesAliases(t *testing.T) {
	bomb := "a0: &a0 {x: y}\n"
	for i := 1; i < 20; i++ {
		this, last := string(rune('a'+i)), string(rune('a'+i-1))
		if i == 1 {
			last = "a0"
		}
		bomb += this + ": &" + this + " [" + strings.Repeat("*"+last+", ", 20) + "x]\n"
	}
	wantProblem(t, "bomb.yaml", bomb+"cases: [{id: x, org: *t}]\n", "bomb.yaml:7:8: the file is too large")
	wantProblem(t, "text.yaml", "a: &a \""+strings.Repeat("x", 1<<20)+"\"\ncases: [{id: ["+strings.Repeat("*a, ", 400)+"]}]\n", "text.yaml:2:1")
	wantProblem(t, "self.yaml", "a: &a [*a]\n", `self.yaml:1:8: unknown alias "a"`)
	wantProblem(t, "none.yaml", "- *nobody\n", `none.yaml:1:3: unknown alias "nobody"`)
}

// TestLoadCasesTags: the parser goes through the rest of the file for every tag
// that has no value on its line; a hundred thousand would take it minutes, and are
// refused before it sees them. Tags before their values are read.
func TestLoadCasesTags(t *testing.T) {
	const n = 20_000
	for name, src := range map[string]string{
		"adjacent.yaml":  strings.Repeat("!a ", n) + "x",
		"lines.yaml":     strings.Repeat("!a\n", n),
		"entries.yaml":   strings.Repeat("- !a\n", n),
		"keys.yaml":      strings.Repeat("x: !a\n", n),
		"comments.yaml":  strings.Repeat("- !a # x\n", n),
		"long.yaml":      "!" + strings.Repeat("é", n) + "\nx",
		"documents.yaml": "a: 1\n---\n!b\nc: 1\n",
	} {
		_, err := parseCases(name, []byte(src), noPolicyFile)
		if err == nil || !strings.Contains(err.Error(), "stands before its value") || len(err.Error()) > 400 {
			t.Errorf("%s: got %.200v", name, err)
		}
	}
	cases, err := parseCases("c.yaml", []byte(`- {id: !!str a, org: {path: [{type: ROOT, id: r, policies: [FullAWSAccess]}]}, principal: !!map {type: user}, `+
		`request: {action: !!str "s3:GetObject"}, expected: {decision: ALLOW}}`), noPolicyFile)
	if err != nil || len(cases) != 1 {
		t.Errorf("%d cases, %v", len(cases), err)
	}
}

func TestLoadCasesMergeKeys(t *testing.T) {
	const src = `
one: &one {note: first, expected: {decision: DENY}, request: {action: "s3:GetObject"}, principal: {type: user}}
two: &two {note: second, org: {path: [{type: ROOT, id: r, policies: [FullAWSAccess]}]}}
cases:
  - {<<: [*one, *two], id: a, expected: {decision: ALLOW}}
  - id: b
    expected: {decision: ALLOW}
    <<: *two
    request: {action: "s3:PutObject"}
    principal: {type: root}
`
	cases, err := parseCases("c.yaml", []byte(src), noPolicyFile)
	if err != nil {
		t.Fatal(err)
	}
	if r := RunCases(cases); r.Summary() != "2 passed, 0 failed" || cases[0].Note != "first" || cases[1].Note != "second" || cases[1].Request.Action != "s3:PutObject" {
		t.Errorf("%s: %+v", r.Summary(), cases)
	}
	wantProblem(t, "c.yaml", "- {<<: 3}\n", "c.yaml:1:4: << takes an alias of an object, this is a number")
}

const anyCase = `{"id":"a","org":{"path":[{"type":"ROOT","id":"r","policies":["FullAWSAccess"]}]},"principal":{"type":"user"},"request":{"action":"s3:GetObject"},"expected":{"decision":"ALLOW"}}`

func TestLoadCasesEncodings(t *testing.T) {
	for _, name := range []string{"c.json", "c.jsonl", "c.yaml", "c"} {
		cases, err := parseCases(name, []byte("\xef\xbb\xbf"+anyCase), noPolicyFile)
		if err != nil || len(cases) != 1 {
			t.Errorf("%s with a byte order mark: %v", name, err)
		}
		wantProblem(t, name, "\xff\xfe{\x00}\x00", name+":1:1: this is not UTF-8")
		wantProblem(t, name, "{\"ä\": 1,\n \"b\xff\": 2}", name+":2:4: this is not UTF-8")
	}
	cases, err := parseCases("c.jsonl", []byte(anyCase+"\r\n"+strings.Replace(anyCase, `"a"`, `"b"`, 1)+"\r\n"), noPolicyFile)
	if err != nil || len(cases) != 2 {
		t.Errorf("with carriage returns: %v", err)
	}
}

func TestLoadCasesEndsTheListOfProblems(t *testing.T) {
	for name, src := range map[string]string{"c.jsonl": strings.Repeat("{\"id\": }\n", 5000), "c.json": "[" + strings.Repeat("5,", 5000) + "5]"} {
		_, err := parseCases(name, []byte(src), noPolicyFile)
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != maxProblems+1 || !strings.Contains(lines[maxProblems], "there may be more") {
			t.Errorf("%s: %d lines, the last is %s", name, len(lines), lines[len(lines)-1])
		}
	}
	_, err := Parse("p", []byte("{"+strings.Repeat(`"x": 1, `, 5000)+`"Statement": []}`))
	var bad *ParseError
	if !errors.As(err, &bad) || len(bad.Problems) != maxProblems+1 {
		t.Errorf("got %.300v", err)
	}
	if found := LintSource("p", []byte("{"+strings.Repeat(`"x": 1, `, 5000)+`"Statement": []}`), LintOptions{}); len(found) != maxProblems+1 {
		t.Errorf("the linter says %d things", len(found))
	}
}

func TestReadCases(t *testing.T) {
	dir := t.TempDir()
	policy := writeFile(t, dir, "policy.json", protectPolicy)
	with := func(file string) string {
		return strings.Replace(anyCase, `"FullAWSAccess"`, `"FullAWSAccess",{"name":"p","file":"`+filepath.ToSlash(file)+`"}`, 1)
	}
	for name, src := range map[string]string{"relative": with("policy.json"), "absolute": with(policy)} {
		cases, err := ReadCases("stdin", strings.NewReader(src), dir)
		if err != nil || len(cases) != 1 || cases[0].File != "stdin" || len(cases[0].Org.Path[0].Policies) != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "huge.json"), []byte(strings.Repeat(" ", maxSource+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"huge.json": "more than 1048576 bytes", ".": "is a directory", "nowhere.json": "nowhere.json"} {
		_, err := ReadCases("stdin", strings.NewReader(with(file)), dir)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s: got %v", file, err)
		}
	}
	broken := errors.New("broken pipe")
	if _, err := ReadCases("stdin", iotest.ErrReader(broken), dir); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "stdin: ") {
		t.Errorf("got %v", err)
	}
	if _, err := LoadCases(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestPositionsOnOneLongLine compares the columns with counting, on a line without
// end as programs write them.
func TestPositionsOnOneLongLine(t *testing.T) {
	text := []byte(strings.Repeat("aäöü€\U0001F600", 700) + "\n" + strings.Repeat("é", 1500) + "\n")
	s := newSource(text)
	for off := range len(text) + 1 {
		line := 1 + strings.Count(string(text[:off]), "\n")
		begin := strings.LastIndexByte(string(text[:off]), '\n') + 1
		column := 1
		for _, c := range text[begin:off] {
			if c&0xc0 != 0x80 {
				column++
			}
		}
		if got := s.position(off); got.Line != line || got.Column != column {
			t.Fatalf("offset %d: got %s, want %d:%d", off, got, line, column)
		}
	}
	if got := newSource(nil).position(0); got != (Position{1, 1}) {
		t.Errorf("in an empty file: %s", got)
	}
}

// TestLintOfHugePolicies: a file far above the quota is reported, and not studied
// for minutes.
func TestLintOfHugePolicies(t *testing.T) {
	var actions, statements []string
	for range 40_000 {
		actions = append(actions, `"s3:Get*"`)
	}
	for range 8_000 {
		statements = append(statements, `{"Sid":"A","Effect":"Deny","Action":"s3:GetObject","Resource":"*"}`)
	}
	for name, src := range map[string]string{
		"actions":    on(`"Action": [` + strings.Join(actions, ",") + `], "Resource": "*"`),
		"resources":  on(`"Action": "s3:*", "Resource": [` + strings.ReplaceAll(strings.Join(actions, ","), "s3:Get", "arn:aws:s3:::b") + `]`),
		"statements": `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`,
	} {
		rules := map[string]int{}
		for _, f := range LintSource(name, []byte(src), LintOptions{}) {
			rules[f.Rule]++
		}
		if rules[ruleSize] != 1 || len(rules) < 2 {
			t.Errorf("%s: found %v", name, rules)
		}
	}
}

// TestStartersOfGeneratedPolicies: whatever the policy, its first case file reads
// and passes.
func TestStartersOfGeneratedPolicies(t *testing.T) {
	g := newGenerator(5)
	for round := range 150 {
		var s Starter
		b := g.batch(3)
		for _, l := range b.Levels {
			for _, p := range l.Policies {
				batch := genBatch{Levels: []genLevel{{ID: "ou", Policies: []genPolicy{p}}}}
				s.Document = batch.document(t)
			}
		}
		s.PolicyName = pick(g, []string{"", "FullAWSAccess", "p: [x]", "a\n\u202e\x00'\"", "# x", "*x", "null", "{{x}}"})
		s.PolicyFile = pick(g, []string{"", "../a b/\"p\".json"})
		src, err := StarterCases(s)
		if err != nil {
			t.Fatal(err)
		}
		cases, err := parseCases("starter.yaml", src, func(string) ([]byte, error) { return s.Document.Source(), nil })
		if err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, src)
		}
		if r := RunCases(cases); r.Failed > 0 || r.Passed < 4 {
			t.Errorf("round %d: %s\n%s", round, r.Summary(), src)
		}
	}
}

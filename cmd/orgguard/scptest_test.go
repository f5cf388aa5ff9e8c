package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"strings"
	"testing"
)

// checkedCases are cases whose answers follow from AWS's documentation.
const checkedCases = "../../scp/testdata/cases.jsonl"

// runSCP runs the whole tool and returns what it wrote.
func runSCP(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	code = run(t.Context(), append([]string{"orgguard", "scp"}, args...), streams{in: strings.NewReader(stdin), out: &out, err: &talk})
	return code, out.String(), talk.String()
}

func TestSCPTestPassesTheCheckedCasesInEveryFormat(t *testing.T) {
	src, err := os.ReadFile(checkedCases)
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Count(string(src), "\n")
	for name, args := range map[string][]string{
		"table": {"test", "--file", checkedCases},
		"stdin": {"test", "--file", "-"},
		"json":  {"test", "--file", checkedCases, "--format", "json"},
		"junit": {"test", "--file", checkedCases, "--format", "junit"},
	} {
		code, out, talk := runSCP(t, string(src), args...)
		if code != exitOK || talk != "" {
			t.Errorf("%s: exit code %d, %s", name, code, talk)
		}
		got := struct {
			Passed, Failed int // in JSON
			Tests          int `xml:"tests,attr"`
			Failures       int `xml:"failures,attr"`
		}{}
		switch name {
		case "json":
			err = json.Unmarshal([]byte(out), &got)
			got.Tests, got.Failures = got.Passed, got.Failed
		case "junit":
			err = xml.Unmarshal([]byte(out), &got)
		default:
			if !strings.HasSuffix(out, "\n298 passed, 0 failed\n") {
				t.Errorf("%s ends %q", name, out[max(0, len(out)-80):])
			}
			continue
		}
		if err != nil || got.Tests != cases || got.Failures != 0 {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
}

// TestSCPTestFailsWhenAnyExpectationIsWrong turns one expectation after another
// round: each must be noticed.
func TestSCPTestFailsWhenAnyExpectationIsWrong(t *testing.T) {
	src, err := os.ReadFile(checkedCases)
	if err != nil {
		t.Fatal(err)
	}
	changes := []struct{ from, to string }{
		{`"decision":"DENY"`, `"decision":"ALLOW"`}, {`"decision":"ALLOW"`, `"decision":"DENY"`},
		{`"kind":"EXPLICIT_DENY"`, `"kind":"IMPLICIT_DENY"`}, {`"kind":"IMPLICIT_DENY"`, `"kind":"EXPLICIT_DENY"`},
		{`"kind":"ALLOWED"`, `"kind":"EXEMPT"`}, {`"kind":"EXEMPT"`, `"kind":"ALLOWED"`},
	}
	tried := map[string]int{}
	for i, line := range strings.Split(strings.TrimSpace(string(src)), "\n") {
		at := strings.Index(line, `"expected":`)
		for _, c := range changes {
			wrong := line[:at] + strings.Replace(line[at:], c.from, c.to, 1)
			if wrong == line {
				continue
			}
			tried[c.from]++
			if code, out, talk := runSCP(t, wrong, "test", "--file", "-"); code != exitDrift || !strings.HasSuffix(out, "\n0 passed, 1 failed\n") {
				t.Errorf("line %d with %s: exit code %d, %s%s", i+1, c.to, code, out, talk)
			}
		}
	}
	for _, c := range changes {
		if tried[c.from] == 0 {
			t.Errorf("no case has %s", c.from)
		}
	}
}

package sim

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
)

// createTestFile makes a sandbox file of the demo.
func createTestFile(t *testing.T) (string, *World) {
	t.Helper()
	s, err := Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "box", "sandbox.json")
	w, err := Create(path, s, false)
	if err != nil {
		t.Fatal(err)
	}
	return path, w
}

func setAlias(t *testing.T, w *World, alias string) {
	t.Helper()
	if _, err := iamClient(w, shopProd).CreateAccountAlias(t.Context(), &iam.CreateAccountAliasInput{AccountAlias: &alias}); err != nil {
		t.Fatal(err)
	}
}

// stateText is the whole state of a world.
func stateText(t *testing.T, w *World) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Faults, w.state.Timing = w.faults, w.timing
	raw, err := json.MarshalIndent(w.state, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestAWorldComesBackFromItsFile(t *testing.T) {
	path, w := createTestFile(t)
	setAlias(t, w, "shop")
	w.SetTiming(Timing{Queue: time.Second})
	w.SetFaults(Faults{ThrottlePercent: 7})
	want := stateText(t, w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, stateText(t, again)); diff != "" {
		t.Error(diff)
	}
	again.SetFaults(Faults{})
	out, err := iamClient(again, shopProd).ListAccountAliases(t.Context(), &iam.ListAccountAliasesInput{})
	if err != nil || out.AccountAliases[0] != "shop" {
		t.Errorf("%v, %v", out, err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestChangesAreSavedInTheBackground(t *testing.T) {
	path, w := createTestFile(t)
	setAlias(t, w, "shop")
	deadline := time.Now().Add(5 * time.Second)
	for {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), `"alias":"shop"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("never saved")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s, err := Scenario("empty")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		open       func() (*World, error)
		want, hint string
	}{
		"a file that is not there":   {func() (*World, error) { return Open(filepath.Join(dir, "none")) }, "no such file", "create one: orgguard sandbox create"},
		"a file of another version":  {func() (*World, error) { return Open(write("old", `{"version":99}`)) }, "version 99, this orgguard reads version 2", "make it again"},
		"a file of something else":   {func() (*World, error) { return Open(write("text", `hello`)) }, "not a sandbox file", "make it again"},
		"a file that is cut off":     {func() (*World, error) { return Open(write("cut", `{"version":2,"accounts":{`)) }, "not a sandbox file", "make it again"},
		"a file that must be kept":   {func() (*World, error) { return Create(write("kept", `{}`), s, false) }, "already exists", "--force"},
		"a file with the wrong type": {func() (*World, error) { return Open(write("wrong", `{"version":2,"accounts":[]}`)) }, "damaged", "make it again"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, err := tt.open()
			if err == nil {
				t.Fatal("no error", w.Close())
			}
			var fe *FileError
			if !errors.As(err, &fe) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(fe.Hint(), tt.hint) {
				t.Errorf("got %v (%s)", err, fe.Hint())
			}
		})
	}
	w, err := Create(filepath.Join(dir, "kept"), s, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("Open made a file")
	}
}

func TestTwoCommandsDoNotShareASandbox(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the lock")
	}
	path, w := createTestFile(t)
	_, err := Open(path)
	if err == nil || !strings.Contains(err.Error(), "in use by") || !strings.Contains(err.Error(), "process") {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestACrashedWorldGoesOnFromItsFile runs itself as a second process, which
// crashes after its second write.
func TestACrashedWorldGoesOnFromItsFile(t *testing.T) {
	const variable = "ORGGUARD_TEST_CRASH_FILE"
	if path := os.Getenv(variable); path != "" {
		w, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, alias := range []string{"first", "second", "third"} {
			setAlias(t, w, alias)
		}
		t.Fatal("still alive")
	}
	path, w := createTestFile(t)
	w.SetFaults(Faults{CrashAtWrite: 2})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), variable+"="+path)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 137 {
		t.Fatalf("got %v\n%s", err, out)
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	aliases, err := iamClient(again, shopProd).ListAccountAliases(t.Context(), &iam.ListAccountAliasesInput{})
	if err != nil || aliases.AccountAliases[0] != "second" {
		t.Errorf("%v, %v", aliases, err)
	}
	for _, alias := range []string{"fourth", "fifth", "sixth"} {
		setAlias(t, again, alias) // crashing is over
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

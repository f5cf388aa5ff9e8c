package reports

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var screenshots = flag.String("screenshots", "", "keep pictures of the HTML reports in this folder")

// browserPatience is how long a browser may be silent. Nothing waits that long unless
// something is broken.
const browserPatience = 90 * time.Second

// browser is a headless Chromium, spoken to over the two pipes of
// --remote-debugging-pipe: messages of the DevTools protocol, each ended by a NUL.
// https://chromedevtools.github.io/devtools-protocol/
type browser struct {
	t        *testing.T
	out      *os.File
	messages chan devtools
	session  string
	last     int
	gone     bool     // it ended by itself
	problems []string // what the console, the log and uncaught exceptions said
}

type devtools struct {
	ID      int             `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// newBrowser starts Chromium. Where there is none the test is skipped, but for CI,
// where a report that nobody has looked at is not good enough.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		const missing = "chromium is not installed, so nobody looks at the HTML report: apt-get install chromium"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	toBrowser, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in, fromBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
		"--no-proxy-server", "--hide-scrollbars", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser} // 3 and 4
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = toBrowser.Close()
	_ = fromBrowser.Close()
	b := &browser{t: t, out: out, messages: make(chan devtools, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(b.messages)
		r := bufio.NewReaderSize(in, 1<<20)
		for {
			line, err := r.ReadBytes(0)
			if err != nil {
				return
			}
			var m devtools
			if json.Unmarshal(bytes.TrimRight(line, "\x00"), &m) == nil {
				b.messages <- m
			}
		}
	}()
	t.Cleanup(func() {
		b.send("", "Browser.close", nil)
		_ = out.Close()
		timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		for range b.messages { // until it has gone
		}
		<-done
		_ = cmd.Wait()
		timer.Stop()
		_ = in.Close()
		if t.Failed() && b.gone {
			t.Logf("chromium said:\n%s", said.String())
		}
	})
	var target struct {
		ID string `json:"targetId"`
	}
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		Session string `json:"sessionId"`
	}
	b.call("Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	b.session = attached.Session
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// run runs a subtest, to which the browser reports meanwhile.
func (b *browser) run(t *testing.T, name string, f func(*testing.T)) {
	t.Run(name, func(t *testing.T) {
		before := b.t
		b.t = t
		defer func() { b.t = before }()
		f(t)
	})
}

func (b *browser) send(session, method string, params any) int {
	if params == nil {
		params = struct{}{}
	}
	raw, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	b.last++
	m, err := json.Marshal(devtools{ID: b.last, Method: method, Session: session, Params: raw})
	if err != nil {
		b.t.Fatal(err)
	}
	_, _ = b.out.Write(append(m, 0)) // a browser that has gone does not answer, and that is noticed
	return b.last
}

// call sends a command and reads its answer.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	id := b.send(b.session, method, params)
	for {
		m := b.next(method)
		if m.ID != id {
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

// next reads a message, and keeps what it complains about.
func (b *browser) next(waitingFor string) devtools {
	b.t.Helper()
	timer := time.NewTimer(browserPatience)
	defer timer.Stop()
	select {
	case m, ok := <-b.messages:
		if !ok {
			b.gone = true
			b.t.Fatalf("%s: chromium has gone", waitingFor)
		}
		switch m.Method {
		case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded":
			b.problems = append(b.problems, m.Method+" "+string(m.Params))
		case "Network.requestWillBeSent":
			var p struct {
				Request struct {
					URL string `json:"url"`
				} `json:"request"`
			}
			if err := json.Unmarshal(m.Params, &p); err == nil && !strings.HasPrefix(p.Request.URL, "file:") && p.Request.URL != "about:blank" {
				b.problems = append(b.problems, "a request to "+p.Request.URL)
			}
		}
		return m
	case <-timer.C:
		b.t.Fatalf("%s: chromium does not answer", waitingFor)
	}
	return devtools{}
}

// open shows a page and waits until it has been loaded.
func (b *browser) open(url string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": "about:blank"}, nil)
	b.until("Page.loadEventFired")
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	b.until("Page.loadEventFired")
}

func (b *browser) until(event string) {
	b.t.Helper()
	for b.next(event).Method != event {
	}
}

// eval runs a script in the page and returns what it comes to, as JSON has it.
func eval[T any](b *browser, script string) T {
	b.t.Helper()
	var r struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true}, &r)
	var v T
	if r.Exception != nil {
		b.t.Fatalf("%s: %s %s", script, r.Exception.Text, r.Exception.Exception.Description)
	}
	if len(r.Result.Value) > 0 {
		if err := json.Unmarshal(r.Result.Value, &v); err != nil {
			b.t.Fatalf("%s: %v", script, err)
		}
	}
	return v
}

// view sets the size of the window and what the reader prefers.
func (b *browser) view(width, height int, scheme, media string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
	}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{
		"media": media, "features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}},
	}, nil)
}

// picture keeps a picture of the page when pictures are asked for.
func (b *browser) picture(name string) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	var shot struct {
		Data string `json:"data"`
	}
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	b.keep(name+".png", shot.Data)
}

func (b *browser) keep(name, data string) {
	b.t.Helper()
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name), raw, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// quiet fails when the page complained since the last time, or asked the network.
func (b *browser) quiet() {
	b.t.Helper()
	eval[int](b, "0") // whatever was said before has been read by then
	for _, p := range b.problems {
		b.t.Error(p)
	}
	b.problems = nil
}

// page writes a report into a file and returns its address.
func page(t *testing.T, a Audit) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, HTML, Style{}, a); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "audit.html")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + file
}

// quoted writes a text for a script.
func quoted(s string) string { return fmt.Sprintf("%q", s) }

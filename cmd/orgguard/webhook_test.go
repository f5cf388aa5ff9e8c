package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// hookTo is a hook to a server of the test, which never really waits.
func hookTo(address string) (hook, *[]time.Duration) {
	var waits []time.Duration
	return hook{
		url: address, client: hookClient(), now: func() time.Time { return time.Unix(1_800_000_000, 0) },
		pause: func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil },
	}, &waits
}

func TestAWebhookIsSigned(t *testing.T) {
	const body = `{"schema":"orgguard.dev/notice/v1"}`
	for name, tt := range map[string]struct {
		secret string
		key    []byte
	}{
		"a text":            {"correct horse", []byte("correct horse")},
		"Standard Webhooks": {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", must1(base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))},
		"without a secret":  {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got http.Header
			var read []byte
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = r.Header.Clone()
				read, _ = io.ReadAll(r.Body)
			}))
			defer server.Close()
			h, _ := hookTo(server.URL + "/x?token=t")
			if tt.secret != "" {
				h.key = must1(hookKey(tt.secret))
			}
			if err := h.post(t.Context(), "orgguard-1", []byte(body)); err != nil {
				t.Fatal(err)
			}
			want := ""
			if tt.key != nil {
				mac := hmac.New(sha256.New, tt.key)
				mac.Write([]byte("orgguard-1.1800000000." + body))
				want = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
			}
			if got.Get("Webhook-Signature") != want || got.Get("Webhook-Id") != "orgguard-1" || got.Get("Webhook-Timestamp") != "1800000000" ||
				got.Get("Content-Type") != "application/json" || string(read) != body {
				t.Errorf("%v %s", got, read)
			}
		})
	}
	for _, bad := range []string{"whsec_", "whsec_!"} {
		if _, err := hookKey(bad); err == nil {
			t.Errorf("%s is a key", bad)
		}
	}
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestWhatServersAnswer(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer other.Close()
	for name, tt := range map[string]struct {
		answers []int
		after   string
		calls   int32
		waits   []time.Duration
		want    string
	}{
		"taken":                        {answers: []int{202}, calls: 1},
		"taken at the third time":      {answers: []int{503, 429, 200}, calls: 3, waits: []time.Duration{time.Second, 2 * time.Second}},
		"never":                        {answers: []int{500, 500, 500}, calls: 3, waits: []time.Duration{time.Second, 2 * time.Second}, want: "answered 500 Internal Server Error (tried 3 times)"},
		"not asked again":              {answers: []int{403}, calls: 1, want: "answered 403 Forbidden"},
		"to another host":              {answers: []int{307}, calls: 1, want: "redirects are not followed"},
		"a wish to be left alone":      {answers: []int{429, 200}, after: "7", calls: 2, waits: []time.Duration{7 * time.Second}},
		"a wish that nobody can grant": {answers: []int{429, 200}, after: "86400", calls: 2, waits: []time.Duration{hookPatience}},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				n := calls.Add(1)
				w.Header().Set("Location", other.URL)
				if tt.after != "" {
					w.Header().Set("Retry-After", tt.after)
				}
				w.WriteHeader(tt.answers[n-1])
				_, _ = io.WriteString(w, "the token is hunter2")
			}))
			defer server.Close()
			h, waits := hookTo(server.URL + "/secret-path?token=hunter2")
			err := h.post(t.Context(), "i", []byte("{}"))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "secret-path")) {
				t.Errorf("it tells the secret: %v", err)
			}
			if calls.Load() != tt.calls || len(*waits) != len(tt.waits) {
				t.Fatalf("%d calls, waits %v", calls.Load(), *waits)
			}
			for i, w := range *waits {
				if w != tt.waits[i] {
					t.Errorf("waits %v, want %v", *waits, tt.waits)
				}
			}
		})
	}
	h, _ := hookTo("https://127.0.0.1:1/secret-path?token=hunter2")
	if err := h.post(t.Context(), "i", nil); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("%v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	h.pause = func(ctx context.Context, _ time.Duration) error { stop(); return ctx.Err() }
	if err := h.post(ctx, "i", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

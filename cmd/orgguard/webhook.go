package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
)

const (
	hookAttempts = 3
	hookTimeout  = 10 * time.Second // of one attempt
	hookWait     = time.Second      // before the second one; twice that before the third
	hookPatience = 10 * time.Second // how long a server may ask to be left alone
)

// hookClient follows no redirect: a signed message with the names of accounts goes to
// the host that somebody configured, and to no other.
func hookClient() *http.Client {
	return &http.Client{Timeout: hookTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// sendWebhook posts a message.
func (t *teller) sendWebhook(ctx context.Context, w spec.Webhook, d tidings) error {
	body, err := t.render.Webhook(d.notice, d.id)
	if len(body) == 0 && err != nil {
		return err
	}
	t.builtInInstead(err)
	h, err := t.hook(ctx, w)
	if err != nil {
		return err
	}
	if u, err := url.Parse(h.url); t.s.sandbox && (err != nil || !ownMachine(u.Hostname())) {
		// A pager must not go off because of an organization that there is not.
		return errors.New("a simulated organization posts to this machine only")
	}
	return h.post(ctx, d.id, body)
}

// hook is a webhook with the address and the key that its sources hold.
func (t *teller) hook(ctx context.Context, w spec.Webhook) (hook, error) {
	h := hook{url: w.URL, client: hookClient(), now: time.Now, pause: t.pause}
	var err error
	if w.URLFrom != "" {
		if h.url, err = t.secret(ctx, w.URLFrom); err != nil {
			return h, fmt.Errorf("url_from: %w", err)
		}
		if !spec.IsWebhookURL(h.url) {
			return h, fmt.Errorf("url_from: what %s holds is not an address that begins with https:// and a host", w.URLFrom)
		}
	}
	if w.SecretFrom != "" {
		text, err := t.secret(ctx, w.SecretFrom)
		if err != nil {
			return h, fmt.Errorf("secret_from: %w", err)
		}
		if h.key, err = hookKey(text); err != nil {
			return h, fmt.Errorf("secret_from: what %s holds is no key: %w", w.SecretFrom, err)
		}
	}
	return h, nil
}

// secret reads what a source of the configuration holds. Its value is in no error.
// Parameter Store hands out secrets of Secrets Manager as well.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/integration-ps-secretsmanager.html
func (t *teller) secret(ctx context.Context, source string) (string, error) {
	kind, name, _ := strings.Cut(source, ":")
	if kind == "env" {
		if v := strings.TrimSpace(os.Getenv(name)); v != "" {
			return v, nil
		}
		return "", &orgs.Hinted{Err: fmt.Errorf("the environment has no %s", name), Next: "set it where the audit runs"}
	}
	parameter := secretParameter(source)
	out, err := ssm.NewFromConfig(t.in("")).GetParameter(ctx, &ssm.GetParameterInput{Name: &parameter, WithDecryption: aws.Bool(true)})
	if err != nil {
		return "", fmt.Errorf("read the parameter %s in %s: %w", parameter, t.home, err)
	}
	v := ""
	if out.Parameter != nil {
		v = strings.TrimSpace(aws.ToString(out.Parameter.Value))
	}
	if v == "" {
		return "", fmt.Errorf("the parameter %s is empty", parameter)
	}
	return v, nil
}

// secretParameter is the parameter that a source names; "" for the environment.
func secretParameter(source string) string {
	kind, name, _ := strings.Cut(source, ":")
	switch kind {
	case "ssm":
		return name
	case "secretsmanager":
		return "/aws/reference/secretsmanager/" + name
	}
	return ""
}

// hookKey is the key of a signature, of a secret as Standard Webhooks writes it
// (whsec_ and base64) or of any other text.
func hookKey(secret string) ([]byte, error) {
	if coded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		key, err := base64.StdEncoding.DecodeString(coded)
		if err != nil || len(key) == 0 {
			return nil, errors.New("whsec_ has to be followed by base64")
		}
		return key, nil
	}
	return []byte(secret), nil
}

// hook posts to one address.
type hook struct {
	url    string
	key    []byte // of the signature; none without one
	client *http.Client
	now    func() time.Time
	pause  func(context.Context, time.Duration) error
}

// tooSoon is a server's wish to be asked again later; refused is an answer that asking
// again will not change.
type (
	tooSoon struct {
		text string
		wait time.Duration
	}
	refused struct{ text string }
)

func (e *tooSoon) Error() string { return e.text }
func (e *refused) Error() string { return e.text }

// post posts a body until the server takes it, some times at most. Errors name the host
// and nothing else of the address, which may have a token in it.
func (h hook) post(ctx context.Context, id string, body []byte) error {
	var err error
	wait := hookWait
	for i := range hookAttempts {
		if i > 0 {
			if perr := h.pause(ctx, wait); perr != nil {
				return errors.Join(err, perr)
			}
			wait *= 2
		}
		if err = h.once(ctx, id, body); err == nil {
			return nil
		}
		var no *refused
		if errors.As(err, &no) {
			return err
		}
		var soon *tooSoon
		if errors.As(err, &soon) && soon.wait > wait {
			wait = min(soon.wait, hookPatience)
		}
	}
	return fmt.Errorf("%w (tried %d times)", err, hookAttempts)
}

// once posts a body, signed as Standard Webhooks has it.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func (h hook) once(ctx context.Context, id string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return &refused{"the address is none"}
	}
	host := req.URL.Host
	at := strconv.FormatInt(h.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "orgguard/"+version)
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", at)
	if h.key != nil {
		mac := hmac.New(sha256.New, h.key)
		fmt.Fprintf(mac, "%s.%s.", id, at)
		mac.Write(body)
		req.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	resp, err := h.client.Do(req)
	if err != nil {
		var at *url.Error // it repeats the whole address
		if errors.As(err, &at) {
			err = at.Err
		}
		return fmt.Errorf("post to %s: %w", host, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	text := fmt.Sprintf("%s answered %d %s", host, resp.StatusCode, http.StatusText(resp.StatusCode))
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return &refused{text + ": redirects are not followed"}
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly || code == http.StatusTooManyRequests || code >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // of a date it is 0
		return &tooSoon{text, time.Duration(max(0, min(seconds, 3600))) * time.Second}
	}
	return &refused{text}
}

package notice

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/orgguard/orgguard/orgs/chat"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/reports"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

var morning = time.Date(2027, 3, 31, 6, 0, 0, 0, time.UTC)

// run is an audit of a history. A finding is written as "account resource change".
func run(n int64, changes ...string) reports.Audit {
	a := reports.Audit{
		GeneratedAt: morning.Add(time.Duration(n) * time.Hour), Run: n, Organization: reports.Organization{ID: "o-example", Accounts: 14},
		Since: &reports.Since{Run: n - 1, GeneratedAt: morning.Add(time.Duration(n-1) * time.Hour)},
	}
	for _, text := range changes {
		var account, resource string
		var change finding.Change
		if _, err := fmt.Sscan(text, &account, &resource, &change); err != nil {
			panic(err)
		}
		f := finding.Finding{
			Account: strings.Repeat(account, 12), AccountName: "shop-" + account, OUPath: "Root/Workloads", Region: "us-east-1", Control: "config-recorder", Resource: resource,
			Status: finding.Drift, Severity: finding.High, Reason: "the recorder is stopped", Fix: "orgguard rollout", Change: change,
		}
		switch change {
		case finding.Resolved:
			a.Since.Gone = append(a.Since.Gone, f)
			continue
		case finding.Accepted:
			f.Status = finding.Exempt
		}
		a.Findings = append(a.Findings, f)
	}
	finding.Sort(a.Findings)
	a.Summary = finding.Summarize(a.Findings)
	return a
}

func TestRunsAreSummedUp(t *testing.T) {
	first := run(1, "1 a new")
	first.Since = nil
	twice := run(3)
	twice.Findings = run(3, "1 a open").Findings
	twice.Since.Gone = run(3, "1 a resolved").Since.Gone
	for name, tt := range map[string]struct {
		runs []reports.Audit
		want string
	}{
		"nothing":                                      {nil, ""},
		"the first run has no news":                    {[]reports.Audit{first}, ""},
		"one run":                                      {[]reports.Audit{run(2, "1 a new", "2 b worse", "3 c resolved", "4 d accepted", "5 e open")}, "1 new, 2 worse, 3 resolved, 4 accepted"},
		"new and then worse is new":                    {[]reports.Audit{run(2, "1 a new"), run(3, "1 a worse")}, "1 new"},
		"what came and went is told as resolved":       {[]reports.Audit{run(2, "1 a new"), run(3, "1 a resolved")}, "1 resolved"},
		"what went and came is new":                    {[]reports.Audit{run(2, "1 a resolved"), run(3, "1 a new")}, "1 new"},
		"new and accepted at once is nothing":          {[]reports.Audit{run(2, "1 a new"), run(3, "1 a accepted")}, ""},
		"and is new when the exemption ends":           {[]reports.Audit{run(2, "1 a new"), run(3, "1 a accepted"), run(4, "1 a worse")}, "1 worse"},
		"what is still open changes nothing":           {[]reports.Audit{run(2, "1 a new"), run(3, "1 a open")}, "1 new"},
		"the second of two of one kind is another one": {[]reports.Audit{twice}, "1 resolved"},
	} {
		t.Run(name, func(t *testing.T) {
			n := Of(tt.runs...)
			var got []string
			for _, c := range n.Changes {
				got = append(got, c.Finding.Account[:1]+" "+string(c.Change))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Error(diff)
			}
			if news := strings.NewReplacer("4 accepted", "", ", ", "").Replace(tt.want) != ""; n.News() != news {
				t.Errorf("news: %v", n.News())
			}
		})
	}
	if id := Of(twice).Changes[0].ID; !strings.HasSuffix(id, "-2") {
		t.Errorf("the one that is gone is called %s, as the one that is there", id)
	}
	// The same news has the same name, whichever run tells it.
	again, more := Of(run(5, "1 a new"), run(6)), Of(run(5, "1 a new"), run(6, "2 b new"))
	if one := Of(run(5, "1 a new")); one.ID("mail") != again.ID("mail") || one.ID("mail") == more.ID("mail") || one.ID("mail") == one.ID("chat") || one.ID("mail") == Of(run(6, "1 a new")).ID("mail") {
		t.Error("names of news")
	}
	n := Of(run(5, "1 a new"), run(6), run(7))
	if n.Runs != 3 || n.Run != 7 || !n.Since.Equal(morning.Add(4*time.Hour)) || !n.GeneratedAt.Equal(morning.Add(7*time.Hour)) {
		t.Errorf("%+v", n)
	}
}

// busy is a notice with everything in it.
func busy() Notice {
	changes := []string{"1 a new", "2 b worse", "3 c resolved", "4 d accepted"}
	a := run(12, changes...)
	for i, region := range []string{"ap-northeast-1", "us-east-1", finding.Global} {
		a.Findings = append(a.Findings, finding.Finding{
			Account: "600000000006", AccountName: "data", Region: region, Control: fmt.Sprint("control-", i), Status: finding.NotAssessed, Severity: finding.Critical,
			Reason: "the role cannot be assumed", Fix: "let it trust 100000000001", Change: finding.New,
		})
	}
	finding.Sort(a.Findings)
	a.Summary = finding.Summarize(a.Findings)
	n := Of(run(11), a)
	n.Report, n.Unreached = "https://audits.example.com/12", []string{"webhook pager, since 2027-03-30 06:00 UTC: 503 Service Unavailable"}
	return n
}

func renderer(t testing.TB, lang string, own map[string]string) *Renderer {
	t.Helper()
	r, err := NewRenderer(lang, own)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMessages(t *testing.T) {
	for _, lang := range []string{"en", "ja"} {
		r := renderer(t, lang, nil)
		for name, n := range map[string]Notice{"busy": busy(), "resolved": Of(run(3, "1 a resolved")), "test": {Test: true, Organization: "o-example"}} {
			mail, err := r.Mail(n)
			if err != nil {
				t.Fatal(err)
			}
			m, err := r.Chat(n, "id-1")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, lang+"."+name+".mail", mail.Subject+"\n\n"+mail.Text)
			golden(t, lang+"."+name+".chat", m.Content.Title+"\n\n"+m.Content.Description)
			if m.Version != "1.0" || m.Source != "custom" || m.Content.TextType != "client-markdown" || m.ID != "id-1" {
				t.Errorf("%+v", m)
			}
		}
	}
	r := renderer(t, "en", nil)
	for name, f := range map[string]func(Notice, string) ([]byte, error){"webhook": r.Webhook, "event": r.Event} {
		b, err := f(busy(), "id-1")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", string(b)+"\n")
	}
	if _, err := NewRenderer("de", nil); err == nil {
		t.Error("there is German")
	}
}

func TestTheSchemaIsThatOfTheDocument(t *testing.T) {
	const file = "../schema/notice-v1.json"
	schema, err := jsonschema.NewCompiler().Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := renderer(t, "en", nil)
	for _, n := range []Notice{busy(), {Test: true, GeneratedAt: morning}, Of(run(2))} {
		for _, f := range []func(Notice, string) ([]byte, error){r.Webhook, r.Event} {
			b, err := f(n, "i")
			if err != nil {
				t.Fatal(err)
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Error(err)
			}
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type object struct{ Properties map[string]any }
	var published struct {
		object
		Defs struct{ Line object } `json:"$defs"`
	}
	if err := json.Unmarshal(text, &published); err != nil {
		t.Fatal(err)
	}
	for typ, properties := range map[reflect.Type]map[string]any{reflect.TypeFor[Document](): published.Properties, reflect.TypeFor[Line](): published.Defs.Line.Properties} {
		var keys []string
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			keys = append(keys, key)
		}
		slices.Sort(keys)
		if diff := cmp.Diff(keys, slices.Sorted(maps.Keys(properties))); diff != "" {
			t.Errorf("%s (-type +schema):\n%s", typ, diff)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// hostile are names that somebody gave an account.
var hostile = []string{
	"<!channel> come here", "`; rm -rf /", "```\nout of the block", "[click](https://evil.example)", "https://evil.example", "<@U123>", "&lt;!here&gt; &#60;!here&#62;",
	"a\r\nBcc: everybody@example.com", "\x1b[31mred\x07", "\u202eright to left", strings.Repeat("界", 5000), "\xff\xfe", "{{.Report}}", "",
}

func TestNamesThatOthersChoseDoNothing(t *testing.T) {
	for _, lang := range []string{"en", "ja"} {
		r := renderer(t, lang, nil)
		for _, name := range hostile {
			a := run(2, "1 a new", "2 b worse", "3 c resolved")
			for _, fs := range [][]finding.Finding{a.Findings, a.Since.Gone} {
				for i := range fs {
					f := &fs[i]
					f.AccountName, f.OUPath, f.Resource, f.Reason, f.Fix = name, name, name, name, name
				}
			}
			n := Of(a)
			n.Organization, n.Unreached = name, []string{name}
			harmless(t, r, n)
		}
	}
}

// harmless checks everything that is made of a notice.
func harmless(t *testing.T, r *Renderer, n Notice) {
	t.Helper()
	mail, err := r.Mail(n)
	m, err2 := r.Chat(n, "i")
	hook, err3 := r.Webhook(n, "i")
	event, err4 := r.Event(n, "i")
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if s := mail.Subject; s == "" || len(s) >= 100 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) || s[0] == ' ' {
		t.Errorf("subject %q", s)
	}
	for what, text := range map[string]string{"mail": mail.Text, "chat": m.Content.Description, "title": m.Content.Title} {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r == '\u202e' || r == 0x7f }) {
			t.Errorf("%s: %q", what, text)
		}
	}
	body, ok := strings.CutPrefix(m.Content.Description, "```\n")
	body, tail, closed := strings.Cut(body, "\n```\n")
	if !ok || !closed || strings.ContainsAny(body+tail, "<>`") || strings.Contains(body+tail, "](") || strings.Contains(body+tail, "://") || strings.Contains(body+tail, "&lt;") {
		t.Errorf("chat: %q", m.Content.Description)
	}
	if n := utf8.RuneCountInString(m.Content.Description); n > chat.MaxDescription || utf8.RuneCountInString(m.Content.Title) > chat.MaxTitle {
		t.Errorf("chat of %d characters", n)
	}
	if len(mail.Text) > maxMail || len(hook) > maxDocument || len(event) > maxDetail {
		t.Errorf("mail of %d, webhook of %d, event of %d bytes", len(mail.Text), len(hook), len(event))
	}
}

func TestManyFindingsFit(t *testing.T) {
	a := run(2)
	for i := range 5000 {
		a.Findings = append(a.Findings, finding.Finding{
			Account: fmt.Sprintf("%012d", i), AccountName: "name", Region: "us-east-1", Control: "c", Resource: strings.Repeat("r", 500), Status: finding.Drift, Severity: finding.Low,
			Reason: strings.Repeat("理由", 600), Fix: strings.Repeat("f", 900), Change: finding.New,
		})
	}
	a.Findings[4000].Severity, a.Findings[4000].AccountName = finding.Critical, "the worst"
	n := Of(a)
	r := renderer(t, "en", nil)
	harmless(t, r, n)
	mail, _ := r.Mail(n)
	m, _ := r.Chat(n, "i")
	for what, text := range map[string]string{"mail": mail.Text, "chat": m.Content.Description} {
		if !strings.Contains(text, "5000 new") || !strings.Contains(text, "the worst") || !strings.Contains(text, " more\n") {
			t.Errorf("%s: %.300s", what, text)
		}
	}
}

func TestTextsOfOnesOwn(t *testing.T) {
	r := renderer(t, "ja", map[string]string{KeySubject: "{{.Counts.New}} neu – {{.Organization}}", KeyMail: "{{range .New}}{{.AccountName}}{{end}}", KeyChat: "*{{len .New}}*"})
	mail, err := r.Mail(busy())
	m, err2 := r.Chat(busy(), "i")
	if err != nil || err2 != nil || mail.Subject != "4 neu ? o-example" || mail.Text != "datashop-1" || m.Content.Description != "*2*" || !strings.Contains(m.Content.Title, "新規 4 件") {
		t.Errorf("%+v %+v %v %v", mail, m, err, err2)
	}
	// What cannot be seen before.
	r = renderer(t, "en", map[string]string{KeyMail: `{{if eq .Run 99}}{{index .New 7}}{{end}}x`})
	if mail, err = r.Mail(busy()); err != nil || mail.Text != "x" {
		t.Errorf("%q %v", mail.Text, err)
	}
	n := busy()
	n.Run = 99
	if mail, err = r.Mail(n); err == nil || !strings.Contains(mail.Text, "4 new") {
		t.Errorf("a message is lost with its template: %q %v", mail.Text, err)
	}
}

func TestTemplatesAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"plain":             "",
		"{{/* nothing */}}": "",
		"{{range $i, $l := .New}}{{$i}} {{$l.Reason}} {{$.Run}}{{else}}none{{end}}": "",
		"{{with .Counts}}{{.New}}{{end}}":                                           "",
		`{{with index .New 0}}{{print .}}{{end}}`:                                   "error calling index",
		`{{if .New}}{{printf "%d %s" .Run .At | print}}{{end}}`:                     "",
		"{{range .New}}{{range $.Resolved}}{{.Reason}}{{end}}{{end}}":               "",
		"{{.Nope}}": "mail:1:2: unknown field Nope; there are Organization, Run,",
		"{{if .Part}}{{if not .Part}}{{.Nope}}{{end}}{{end}}":                "unknown field Nope",
		"{{range .New}}{{.Nope}}{{end}}":                                     "unknown field Nope; there are Severity",
		"{{range .New}}{{.Organization}}{{end}}":                             "unknown field Organization",
		"{{.New.Reason}}":                                                    "has no fields",
		"{{range .Counts}}{{end}}":                                           "goes over a list",
		"{{range 1000000000}}x{{end}}":                                       "range goes over",
		"{{range .New}}{{range $.New}}{{range $.New}}x{{end}}{{end}}{{end}}": "more than 2 loops",
		`{{define "a"}}{{end}}`:                                              "define and block have no use",
		`{{template "x"}}`:                                                   "template has no use",
		"{{js .Report}}":                                                     `function "js" is not for messages`,
		"{{nope}}":                                                           `function "nope" not defined`,
		"{{":                                                                 "unclosed action",
		`{{$x := "aaaaaaaa"}}{{range .New}}{{$x = print $x $x $x $x $x $x $x $x $x $x}}{{$x = print $x $x $x $x $x $x $x $x $x $x}}{{end}}`: "more than 4096 bytes",
		`{{printf "%99999999d" 1}}`: "",
		`{{printf "%999999d" 1}}`:   "more than 4096 bytes",
	} {
		err := CheckTemplate("mail", text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// FuzzTemplate: no template makes the check or a message fail in another way than with
// an error, take long, or write without end.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{{range .New}}{{.Reason}}{{end}}", "{{$x := .New}}{{$x = .Run}}{{$x}}", "{{with .Counts}}{{.New}}{{end}}", `{{print (index .New 0).Reason | len}}`, "{{(.).Run}}", "{{break}}", "{{range .New}}{{break}}{{end}}"} {
		f.Add(s)
	}
	n := busy()
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 || CheckTemplate(KeyMail, text) != nil || text == "" {
			return
		}
		r := renderer(t, "en", map[string]string{KeyMail: text, KeyChat: text, KeySubject: text, KeyChatTitle: text})
		mail, _ := r.Mail(n)
		m, _ := r.Chat(n, "i")
		if len(mail.Text) > maxMail || utf8.RuneCountInString(m.Content.Description) > chat.MaxDescription || len(mail.Subject) >= 100 || mail.Subject == "" {
			t.Errorf("%d %d %q", len(mail.Text), len(m.Content.Description), mail.Subject)
		}
	})
}

// FuzzNames: whatever an account is called, messages are harmless.
func FuzzNames(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, s)
	}
	r := renderer(f, "en", nil)
	f.Fuzz(func(t *testing.T, name, reason string) {
		a := run(2, "1 a new", "3 c resolved")
		a.Findings[0].AccountName, a.Findings[0].Reason, a.Since.Gone[0].Reason = name, reason, name
		harmless(t, r, Of(a))
	})
}

func TestWhoIsTold(t *testing.T) {
	at := func(minutes int) time.Time { return morning.Add(time.Duration(minutes) * time.Minute) }
	c := func(run int64) Claim { return Claim{Key: "o/mail", Run: run, Before: run - 1} }
	t.Run("a new channel is told from now on", func(t *testing.T) {
		told := Told{}
		if got := told.Take(c(7), "a", at(0), 6); !got.Go || got.After != 6 || got.Free != 6 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("once", func(t *testing.T) {
		told := Told{}
		told.Take(c(7), "a", at(0), 6)
		told.Settle(Outcome{Key: "o/mail", To: 7, Sent: true}, "a", at(0))
		if got := told.Take(c(7), "b", at(1), 6); got.Go || got.Busy {
			t.Errorf("%+v", got)
		}
	})
	t.Run("not by two at once", func(t *testing.T) {
		told := Told{}
		told.Take(c(7), "a", at(0), 6)
		if got := told.Take(c(8), "b", at(1), 6); got.Go || !got.Busy || !got.Until.Equal(at(0).Add(Patience)) {
			t.Errorf("%+v", got)
		}
		if got := told.Take(c(7), "a", at(1), 6); !got.Go {
			t.Errorf("its own claim is in the way: %+v", got)
		}
		// The first one has died.
		if got := told.Take(c(8), "b", at(3), 6); !got.Go || got.After != 6 {
			t.Errorf("%+v", got)
		}
		// And comes back: what it says does not end the other's turn.
		told.Settle(Outcome{Key: "o/mail", To: 7, Sent: true}, "a", at(3))
		if told["o/mail"].Owner != "b" || told["o/mail"].Run != 7 {
			t.Errorf("%+v", told)
		}
	})
	t.Run("what failed is in the next one", func(t *testing.T) {
		told := Told{}
		for i := range 3 {
			told.Take(c(int64(7+i)), "a", at(i), 6)
			told.Settle(Outcome{Key: "o/mail", To: int64(7 + i), Err: errors.New("no")}, "a", at(i))
		}
		if ch := told["o/mail"]; ch.Failures != 3 || !ch.FailedSince.Equal(at(0)) || ch.Error != "no" || ch.Run != 6 {
			t.Errorf("%+v", ch)
		}
		quiet := c(10)
		quiet.Quiet = true
		if got := told.Take(quiet, "b", at(3), 6); !got.Go || got.After != 6 {
			t.Errorf("a quiet run does not tell what is left: %+v", got)
		}
		told.Settle(Outcome{Key: "o/mail", To: 10, Sent: true}, "b", at(3))
		if ch := told["o/mail"]; ch.Failures != 0 || ch.Error != "" || ch.Run != 10 || !ch.FailedSince.IsZero() {
			t.Errorf("%+v", ch)
		}
	})
	t.Run("a quiet run is written down", func(t *testing.T) {
		told := Told{"o/mail": {Run: 6}}
		quiet := c(7)
		quiet.Quiet = true
		if got := told.Take(quiet, "a", at(0), 6); got.Go || told["o/mail"].Run != 7 {
			t.Errorf("%+v %+v", got, told)
		}
	})
	t.Run("so many an hour", func(t *testing.T) {
		told := Told{}
		for i := range 3 {
			if got := told.Take(c(int64(7+i)), "a", at(i), 2); got.Free != 2-i {
				t.Errorf("%d: %+v", i, got)
			}
			told.Settle(Outcome{Key: "o/mail", To: int64(7 + i), Sent: i < 2, Held: i == 2}, "a", at(i))
		}
		if got := told.Take(c(10), "a", at(60), 2); got.Free != 1 || got.After != 8 {
			t.Errorf("an hour later: %+v", got)
		}
	})
	t.Run("a channel that keeps what is open gets all of it now and then", func(t *testing.T) {
		told := Told{}
		hub := Claim{Key: "o/hub", Run: 7, Before: 6, Quiet: true, Keeps: true}
		if got := told.Take(hub, "a", at(0), 6); !got.Go || !got.Full {
			t.Errorf("%+v", got)
		}
		told.Settle(Outcome{Key: "o/hub", To: 7, Sent: true, Full: true}, "a", at(0))
		hub.Run, hub.Before = 8, 7
		if got := told.Take(hub, "a", at(1), 6); got.Go {
			t.Errorf("%+v", got)
		}
		hub.Run, hub.Before = 9, 8
		if got := told.Take(hub, "a", at(0).Add(Refresh), 6); !got.Full {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the record is read as it was written", func(t *testing.T) {
		told := Told{"o/mail": {Run: 3, Sent: []time.Time{at(0)}, Last: at(0), Owner: "a", Until: at(1), Failures: 1, FailedSince: at(0), Error: "x"}}
		b, err := told.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadTold(b)
		if diff := cmp.Diff(told, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if _, err := ReadTold([]byte("[]")); err == nil {
			t.Error("a list is a record")
		}
	})
}

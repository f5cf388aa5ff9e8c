package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/orgguard/orgguard/scp"
	"github.com/orgguard/orgguard/scp/preview"
)

// testPreview is a preview with something of everything.
func testPreview() preview.Preview {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ref := scp.StatementRef{Level: "Root/Workloads (ou-ab12-9f3k2l1m)", Policy: "deny-tamper", Sid: "DenyTamper"}
	shop, pay := preview.AccountRef{ID: "111122223333", Name: "shop-prod"}, preview.AccountRef{ID: "222233334444", Name: "pay-prod"}
	node := func(id, name, path, kind string) preview.Node {
		return preview.Node{ID: id, Name: name, Path: path, Kind: kind}
	}
	none := []string{}
	p := preview.Preview{
		Schema: preview.Schema, GeneratedAt: at, ToolVersion: "v0.1.0",
		Organization: preview.Organization{ID: "o-a1b2c3d4e5", ManagementAccount: "999988887777", Accounts: 9, SnapshotAt: at},
		Change: preview.Summary{Kind: preview.Attach, Policy: "deny-tamper", File: "deny-tamper.json",
			Targets: []preview.Node{node("ou-ab12-9f3k2l1m", "Workloads", "Root/Workloads", "ou")}},
		Reach: preview.Reach{Accounts: 2, Total: 9, Suspended: 1, Groups: 1, Tree: []preview.ReachNode{
			{Node: node("r-ab12", "Root", "Root", "root"), Policies: []string{"FullAWSAccess", "aws-guardrails-x1"}, Before: 2, After: 2, Limit: 10, Accounts: 2},
			{Node: node("999988887777", "management", "Root/management", "account"), Depth: 1, Policies: none, Limit: 10, State: "management"},
			{Node: node("ou-ab12-00000001", "Security", "Root/Security", "ou"), Depth: 1, Policies: []string{"FullAWSAccess"}, Before: 1, After: 1, Limit: 10},
			{Node: node("ou-ab12-9f3k2l1m", "Workloads", "Root/Workloads", "ou"), Depth: 1, Policies: []string{"FullAWSAccess"}, Before: 1, After: 2, Limit: 10, Target: true, Reached: true, Accounts: 2},
			{Node: node(shop.ID, shop.Name, "Root/Workloads/shop-prod", "account"), Depth: 2, Policies: none, Limit: 10, Reached: true, Accounts: 1},
			{Node: node(pay.ID, pay.Name, "Root/Workloads/pay-prod", "account"), Depth: 2, Policies: none, Limit: 10, Reached: true, Accounts: 1},
			{Node: node("333344445555", "old", "Root/Workloads/old", "account"), Depth: 2, Policies: none, Limit: 10, State: "SUSPENDED"},
		}},
		Diff: []preview.DiffLine{{Sign: "+", Sid: "DenyTamper", Effect: "Deny", Summary: "Deny config:StopConfigurationRecorder on *",
			Condition: []string{`unless aws:PrincipalArn matches "arn:aws:iam::*:role/OrgAdmin"`}}},
		Effects: []preview.Effect{
			{Direction: preview.Loses, Strength: preview.Used, Depends: none, Principal: "role/config-tuner", Accounts: []preview.AccountRef{shop}, Actions: []string{"config:StopConfigurationRecorder"},
				Resources: none, Deciding: []scp.StatementRef{ref}, Uses: []preview.Use{{Account: shop.ID, Region: "eu-west-1", Action: "config:StopConfigurationRecorder", Count: 4, First: at.AddDate(0, 0, -9),
					Last: at.AddDate(0, 0, -4), SourceIP: "203.0.113.17", UserAgent: "aws-cli/2.30", Session: "alice", EventID: "e-1"}}},
			{Direction: preview.Loses, Strength: preview.Permitted, Depends: none, Principal: "role/ci-runner", Accounts: []preview.AccountRef{shop, pay}, Actions: []string{"config:StopConfigurationRecorder"},
				Resources: []string{"arn:aws:config:*:*:x/*"}, Deciding: []scp.StatementRef{ref}, Uses: []preview.Use{}, IAM: "may permit"},
			{Direction: preview.Loses, Strength: preview.Permitted, Depends: []string{`denied unless aws:PrincipalTag/breakglass is "true"`}, Principal: "role/break-glass", Accounts: []preview.AccountRef{shop},
				Actions: []string{"config:StopConfigurationRecorder"}, Resources: none, Deciding: []scp.StatementRef{ref}, Uses: []preview.Use{}, IAM: "permits"},
			{Direction: preview.Gains, Strength: preview.Possible, Depends: none, Principal: "whoever IAM permits it", Accounts: []preview.AccountRef{pay}, Actions: []string{"s3:DeleteBucket"},
				Resources: none, Deciding: []scp.StatementRef{{Level: "Root (r-ab12)", Policy: "no Allow matches", Index: -1}}, Uses: []preview.Use{}},
		},
		Guards: []preview.GuardCheck{
			{Role: "OrganizationAccountAccessRole", Why: "orgguard works in the accounts with it", Status: preview.GuardKeeps, Needs: 40, Lost: none, Accounts: []preview.AccountRef{}, Checked: 2, Deciding: []scp.StatementRef{}, Depends: none},
			{Role: "AWSControlTowerExecution", Why: "AWS Control Tower works with it", Status: preview.GuardLoses, Needs: 20, Lost: []string{"config:StopConfigurationRecorder"}, Accounts: []preview.AccountRef{shop}, Checked: 2, Deciding: []scp.StatementRef{ref}, Depends: none},
		},
		Exemptions: []preview.Exemption{{Pattern: "arn:aws:iam::*:role/OrgAdmin", Known: true, Present: 1, Looked: 2, Missing: []preview.AccountRef{pay}, Forgeable: []preview.AccountRef{shop, pay}, ForgedBy: []string{"iam:CreateRole"}, ProtectedBy: []scp.StatementRef{}}},
		Redundant: []preview.Redundancy{{Sid: "DenyTamper", Actions: []string{"config:StopConfigurationRecorder"}, By: []scp.StatementRef{{Level: "Root (r-ab12)", Policy: "aws-guardrails-x1", Sid: "GRCONFIGENABLED"}},
			Except: []string{`denied unless aws:PrincipalArn matches "arn:aws:iam::*:role/AWSControlTowerExecution"`}, Accounts: 2, Of: 2}},
		Gaps: []preview.SilentGap{{Action: "config:DeleteDeliveryChannel", Does: "ends delivery of what was recorded", Accounts: 2, Of: 2}},
		Checks: []preview.Check{
			{ID: "quota-size", Status: preview.CheckOK, Text: "size 248 of 10,240 characters as sent", Source: "https://docs.aws.amazon.com/", Date: "2026-05-15"},
			{ID: "SCP217", Status: preview.CheckWarning, Text: "deny-tamper.json:1:2 the statement has no Sid", Fix: "give it one"},
		},
		Evidence: preview.Evidence{
			CloudTrail: preview.Coverage{Asked: true, From: at.AddDate(0, 0, -90), To: at, Regions: []string{"eu-west-1"}, Wanted: 2, Read: 1, Accounts: 2, AccountsRead: 1, Records: 4,
				Missing: []preview.Gap{{Account: pay.ID, AccountName: pay.Name, Region: "eu-west-1", Reason: "access denied"}}, Invisible: []string{"iam:PassRole (no call of its own)"}},
			IAM: preview.Coverage{Asked: true, Wanted: 2, Read: 2, Accounts: 2, AccountsRead: 2, Records: 9, Missing: []preview.Gap{}},
		},
		AlreadyDenied: 3, Notes: []string{"use was looked for in eu-west-1"}, Undo: []string{"aws organizations detach-policy --policy-id <policy-id> --target-id ou-ab12-9f3k2l1m"},
		Next: "orgguard scp preview --policy deny-tamper.json --target ou-ab12-canary01", Fingerprint: "sha256:" + strings.Repeat("0123456789abcdef", 4),
	}
	p.Settle()
	return p
}

// hostilePreview has a hostile text in every place that holds a text.
func hostilePreview(text string) preview.Preview {
	p := testPreview()
	fill(reflect.ValueOf(&p).Elem(), text)
	return p
}

// fill sets all texts below a value, but for those of the named types, which
// only this program writes.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() {
			v.SetString(text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Type() != reflect.TypeFor[time.Time]() {
				fill(v.Field(i), text)
			}
		}
	}
}

func writePreview(t *testing.T, f Format, o PreviewOptions, p preview.Preview) string {
	t.Helper()
	var b bytes.Buffer
	if err := WritePreview(&b, f, Style{}, o, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPreviewGolden(t *testing.T) {
	for _, f := range PreviewFormats() {
		t.Run(string(f), func(t *testing.T) {
			golden(t, "scppreview."+string(f), []byte(writePreview(t, f, PreviewOptions{}, testPreview())))
		})
	}
}

func TestThePreviewTableFits(t *testing.T) {
	p := testPreview()
	for _, o := range []PreviewOptions{{}, {All: true}} {
		for line := range strings.Lines(writePreview(t, Table, o, p)) {
			if w := displayWidth(strings.TrimRight(line, "\n")); w > 100 {
				t.Errorf("%d columns: %q", w, line)
			}
		}
	}
	lines := strings.Split(writePreview(t, Table, PreviewOptions{}, p), "\n")
	if !strings.HasPrefix(lines[2], "Result        REFUSED: ") {
		t.Errorf("the result is not where it is looked for: %q", lines[:4])
	}
}

func TestAPreviewNeverCallsAnythingSafe(t *testing.T) {
	for _, f := range PreviewFormats() {
		if s := strings.ReplaceAll(strings.ToLower(writePreview(t, f, PreviewOptions{}, testPreview())), "'unsafe-inline'", ""); strings.Contains(s, "safe") {
			t.Errorf("%s says safe", f)
		}
	}
}

func TestHostileTextsInAPreview(t *testing.T) {
	for i, h := range hostile {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			p := hostilePreview(h)
			for _, f := range PreviewFormats() {
				s := writePreview(t, f, PreviewOptions{All: true}, p)
				for _, r := range s {
					if r != '\n' && r != '\u200b' && !isVisible(r) || r == utf8.RuneError && f != JSON && strings.ToValidUTF8(h, "") == h {
						t.Fatalf("%s lets %U through", f, r)
					}
				}
			}
			page := writePreview(t, HTML, PreviewOptions{All: true}, p)
			for _, bad := range []string{"<script", "<img", "src=", "href=", "url(", "@import", "<link"} {
				if strings.Contains(page, bad) && !strings.Contains(page, "&lt;script") {
					t.Errorf("the page holds %s", bad)
				}
			}
			if n := strings.Count(page, "<script"); n > 0 {
				t.Errorf("%d scripts", n)
			}
		})
	}
}

func TestThePreviewPageNeedsNoNetwork(t *testing.T) {
	page := writePreview(t, HTML, PreviewOptions{}, testPreview())
	for _, bad := range []string{"<script", "src=", "href=", "url(", "@import", "<link"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
	for _, want := range []string{"default-src 'none'", "prefers-color-scheme:dark", "color-scheme:light dark"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestThePreviewSchema(t *testing.T) {
	compiled := compileSchema(t, preview.Schema)
	validate := func(s string) error {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(s))
		if err != nil {
			t.Fatal(err)
		}
		return compiled.Validate(doc)
	}
	good := writePreview(t, JSON, PreviewOptions{}, testPreview())
	if err := validate(good); err != nil {
		t.Error(err)
	}
	for name, change := range map[string][2]string{
		"another verdict":  {`"word": "REFUSED"`, `"word": "SAFE"`},
		"a null list":      {`"gaps": [`, `"gaps": null, "x": [`},
		"another strength": {`"strength": "used"`, `"strength": "seen"`},
		"a missing member": {`"fingerprint"`, `"print"`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good || validate(bad) == nil {
			t.Errorf("%s passes", name)
		}
	}
	raw, err := JSONSchema(preview.Schema)
	if err != nil {
		t.Fatal(err)
	}
	var schema, doc map[string]any
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(good), &doc); err != nil {
		t.Fatal(err)
	}
	defs, _ := schema["$defs"].(map[string]any)
	knowsMembers(t, "", doc, schema, defs)
}

// knowsMembers checks that a schema names every member of a document.
func knowsMembers(t *testing.T, at string, doc any, schema, defs map[string]any) {
	t.Helper()
	if ref, ok := schema["$ref"].(string); ok {
		schema, _ = defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	switch doc := doc.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for k, v := range doc {
			sub, ok := properties[k].(map[string]any)
			if !ok {
				t.Errorf("the schema does not know %s.%s", at, k)
				continue
			}
			knowsMembers(t, at+"."+k, v, sub, defs)
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for _, v := range doc {
			knowsMembers(t, at+"[]", v, items, defs)
		}
	}
}

func TestAnUnknownFormatOfAPreviewIsAnError(t *testing.T) {
	err := WritePreview(&bytes.Buffer{}, "csv", Style{}, PreviewOptions{}, testPreview())
	if err == nil || !strings.Contains(err.Error(), "table, json, markdown and html") {
		t.Errorf("got %v", err)
	}
}

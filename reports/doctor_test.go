package reports

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/orgguard/orgguard/orgs/doctor"
)

func doctorReport() doctor.Report {
	return doctor.Report{
		GeneratedAt: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC), ToolVersion: "1.0.0", Organization: "o-demo0guard",
		Caller: "arn:aws:sts::100000000001:assumed-role/OrgAdmin/orgguard", Command: "rollout",
		Checks: []doctor.Check{
			{ID: "account-access", Severity: doctor.Blocker, What: "assume role OrganizationAccountAccessRole in 300000000003: AccessDenied: not authorized", Why: "what cannot be entered can be neither audited nor repaired", Fix: "orgguard bootstrap   # or leave the account out", Account: "300000000003", AccountName: "data-prod", OUPath: "Root/Workloads/Prod"},
			{ID: "control-tower", Severity: doctor.Unknown, What: "list AWS Control Tower's landing zone: AccessDeniedException", Why: "in what it governs the recorder is its own", Fix: "orgguard permissions --command doctor"},
			{ID: "recorders", Severity: doctor.Warning, What: "recorder legacy in us-east-1 was there before", Why: "a second one makes a stack fail", Fix: "orgguard plan", Account: "500000000003", AccountName: "legacy-lab", Region: "us-east-1"},
			{ID: "scp-type", Severity: doctor.Info, What: "service control policies are not enabled yet", Why: "a policy can be attached only while its type is enabled", Fix: "orgguard rollout"},
			{ID: "scp-size", Severity: doctor.OK, What: "policy x has 3 of 10240 characters", Why: "AWS refuses a longer policy", Source: "https://docs.aws.amazon.com/ (read 2026-05-15)"},
		},
	}
}

func writeDoctor(t *testing.T, f Format, r doctor.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteDoctor(&b, f, Style{}, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheDoctorsFormats(t *testing.T) {
	for _, f := range DoctorFormats() {
		golden(t, "doctor."+string(f), writeDoctor(t, f, doctorReport()))
	}
	if err := WriteDoctor(&bytes.Buffer{}, CSV, Style{}, doctorReport()); err == nil || !strings.Contains(err.Error(), "table, json, markdown and junit") {
		t.Errorf("CSV: %v", err)
	}
}

func TestWhatTheDoctorWritesIsWhatItsSchemaSays(t *testing.T) {
	compiled := compileSchema(t, doctor.Schema)
	hostileReport := doctorReport()
	for _, h := range hostile {
		hostileReport.Checks = append(hostileReport.Checks, doctor.Check{ID: "recorders", Severity: doctor.Warning, What: "x" + h, Why: "y", Fix: h, Account: "500000000003", AccountName: h})
	}
	for name, r := range map[string]doctor.Report{"full": doctorReport(), "empty": {}, "hostile": hostileReport} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(writeDoctor(t, JSON, r)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := compiled.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := bytes.Replace(writeDoctor(t, JSON, doctorReport()), []byte(`"severity": "blocker"`), []byte(`"severity": "fine"`), 1)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(bad))
	if err != nil {
		t.Fatal(err)
	}
	if compiled.Validate(doc) == nil {
		t.Error("an unknown severity passes")
	}
	for _, f := range []Format{Table, Markdown, JUnit} {
		for _, r := range string(writeDoctor(t, f, hostileReport)) {
			if r != '\n' && !isVisible(r) && string(r) != noBreak {
				t.Errorf("%s lets %U through", f, r)
				break
			}
		}
	}
}

package reports

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/orgguard/orgguard/orgs/doctor"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp/apply"
	"github.com/orgguard/orgguard/scp/preview"
)

// ResultSchema names the JSON format of the result of a rollout.
const ResultSchema = "orgguard.dev/result/v1"

//go:embed schema/*.json
var schemaFiles embed.FS

// schemas are the published JSON Schemas of what this package writes as JSON, by the
// names that stand in the "schema" members of documents.
var schemas = []struct{ name, file string }{
	{AuditSchema, "audit-v1"},
	{plan.Schema, "plan-v1"},
	{ResultSchema, "result-v1"},
	{doctor.Schema, "doctor-v1"},
	{preview.Schema, "scp-preview-v1"},
	{apply.Schema, "scp-apply-v1"},
	{RunsSchema, "runs-v1"},
	{TrendSchema, "trend-v1"},
	{LifetimesSchema, "lifetimes-v1"},
	{DiffSchema, "diff-v1"},
}

// JSONSchema returns the published JSON Schema of a format that is named in the
// "schema" member of a document: AuditSchema, plan.Schema and so on.
func JSONSchema(schema string) ([]byte, error) {
	names := make([]string, len(schemas))
	for i, s := range schemas {
		if s.name == schema {
			return schemaFiles.ReadFile("schema/" + s.file + ".json")
		}
		names[i] = s.name
	}
	return nil, fmt.Errorf("unknown schema %q; there are %s", schema, enumerate(names))
}

func jsonAudit(w io.Writer, _ Style, a Audit) error { return writeJSON(w, a) }

func jsonPlan(w io.Writer, _ Style, p plan.Plan) error { return writeJSON(w, p) }

func jsonResult(w io.Writer, _ Style, r plan.Result) error {
	return writeJSON(w, struct {
		Schema string `json:"schema"`
		plan.Result
	}{ResultSchema, r})
}

// writeJSON writes a document as people and programs want to find it: indented,
// in one order, ending in a line break.
//
// "<", ">" and "&" stay as they are: this is not HTML, and \u003c would
// make reasons and policies unreadable; whoever puts the document into a page escapes
// it for that page. Characters that would act on a terminal or deceive the eye
// (C1 controls, bidirectional overrides, and all else that Safe would not show)
// are written as \u escapes, which mean the same to every parser.
func writeJSON(w io.Writer, v any) error {
	b, err := marshal(v, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// compactJSON is writeJSON on one line and without a line break.
func compactJSON(v any) (string, error) {
	b, err := marshal(v, "")
	return string(bytes.TrimRight(b, "\n")), err
}

func marshal(v any, indent string) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return escapeInvisible(buf.Bytes()), nil
}

// escapeInvisible escapes what is not visible in a JSON text. Outside ASCII that
// is safe to do without parsing, because only strings hold such characters; in
// ASCII encoding/json has done it, but for DEL.
func escapeInvisible(b []byte) []byte {
	var out []byte
	from := 0
	for i := 0; i < len(b); {
		r, size := rune(b[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(b[i:])
		}
		if r >= 0x7f && !isVisible(r) {
			out = append(out, b[from:i]...)
			if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
				out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
			} else {
				out = fmt.Appendf(out, `\u%04x`, r)
			}
			from = i + size
		}
		i += size
	}
	if out == nil {
		return b
	}
	return append(out, b[from:]...)
}

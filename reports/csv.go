package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/orgguard/orgguard/orgs/finding"
)

// csvHeader names the columns; their order is part of the format. New columns
// are added at the end.
var csvHeader = []string{
	"status", "severity", "account", "account_name", "ou_path", "region", "control", "resource",
	"reason", "expected", "actual", "fix", "cloudformation", "exemption_reason", "exemption_owner", "exemption_until", "exemption_expired",
	"change", "first_seen",
}

// csvAudit writes one line per finding after a header, as RFC 4180 has it: comma,
// CRLF, quotes doubled. Expected and actual are compact JSON.
//
// The file is made to be opened in a spreadsheet, which runs what looks like a
// formula (https://owasp.org/www-community/attacks/CSV_Injection). So a cell that
// begins like one gets an apostrophe in front, and control characters, line
// breaks included, are written as visible escapes: a finding is always one line.
// For a copy without such changes there is JSON.
func csvAudit(w io.Writer, _ Style, a Audit) error {
	cw := csv.NewWriter(w)
	cw.UseCRLF = true
	if err := cw.Write(csvHeader); err != nil {
		return err
	}
	for _, f := range a.Findings {
		expected, err := csvJSON(f.Expected)
		if err != nil {
			return fmt.Errorf("finding %s %s %s: %w", f.Account, f.Region, f.Control, err)
		}
		actual, err := csvJSON(f.Actual)
		if err != nil {
			return fmt.Errorf("finding %s %s %s: %w", f.Account, f.Region, f.Control, err)
		}
		record := []string{
			string(f.Status), string(f.Severity), f.Account, f.AccountName, f.OUPath, f.Region, f.Control, f.Resource,
			f.Reason, expected, actual, f.Fix, f.CloudFormation,
		}
		record = append(record, csvExemption(f.Exemption)...)
		record = append(record, string(f.Change), rfc3339(f.FirstSeen))
		for i, s := range record {
			record[i] = csvCell(s)
		}
		if err := cw.Write(record); err != nil {
			return err
		}
	}
	cw.Flush()
	return cw.Error()
}

func csvExemption(e *finding.Exemption) []string {
	if e == nil {
		return []string{"", "", "", ""}
	}
	return []string{e.Reason, e.Owner, e.Until, strconv.FormatBool(e.Expired)}
}

func csvJSON(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	return compactJSON(v)
}

// formulaStart are the characters with which spreadsheets begin a formula; the
// wide forms are for Japanese and Chinese editions. Tab and CR cannot occur: they
// have become escapes.
const formulaStart = "=+-@＝＋－＠"

// csvCell makes a text safe for a cell. In countries that write decimals with a
// comma, spreadsheets part columns at semicolons, so what follows one begins a
// cell too.
func csvCell(s string) string {
	s = visible(s)
	if startsFormula(s) {
		s = "'" + s
	}
	if !strings.Contains(s, ";") {
		return s
	}
	parts := strings.Split(s, ";")
	for i, p := range parts[1:] {
		if startsFormula(p) {
			parts[i+1] = "'" + p
		}
	}
	return strings.Join(parts, ";")
}

// startsFormula looks past quotes and blanks, which some spreadsheets do too.
func startsFormula(s string) bool {
	s = strings.TrimLeft(s, " \"\u00a0\u3000")
	return s != "" && strings.ContainsAny(firstRune(s), formulaStart)
}

func firstRune(s string) string {
	for i := range s {
		if i > 0 {
			return s[:i]
		}
	}
	return s
}

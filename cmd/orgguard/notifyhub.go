package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/reports"
)

// maxHubErrors is how many findings that were not taken are named.
const maxHubErrors = 5

// importFindings is the one call of Security Hub that is made. It is a client's method
// and not the client: within reach of reflection, that would keep all of its
// operations in the program.
type importFindings = func(context.Context, *securityhub.BatchImportFindingsInput, ...func(*securityhub.Options)) (*securityhub.BatchImportFindingsOutput, error)

// sendHub imports what is new or got worse, or everything that is open, and archives
// what is over, in the account of the caller: Security Hub takes a finding without an
// integration from nobody else than the account it is filed under.
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html
func (t *teller) sendHub(ctx context.Context, d tidings) error {
	cfg := t.in("")
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("find out whose Security Hub it is: %w", err)
	}
	hub := reports.Hub{Account: aws.ToString(who.Account), Region: t.home}
	a, fs := hubFindings(d, hub.Account)
	batches, err := hub.Batches(a, fs)
	if err != nil {
		return err
	}
	return importBatches(ctx, securityhub.NewFromConfig(cfg).BatchImportFindings, batches)
}

// showHub prints what would be imported; whose the Security Hub is only the call knows.
func (t *teller) showHub(d tidings) (string, error) {
	a, fs := hubFindings(d, "")
	account := a.Organization.ManagementAccount
	batches, err := (reports.Hub{Account: account, Region: t.home}).Batches(a, fs)
	if err != nil {
		return "", err
	}
	b, err := json.MarshalIndent(batches, "", "  ")
	return string(b), err
}

// hubFindings are the findings that Security Hub is to have, and the audit that they
// are of.
func hubFindings(d tidings, account string) (reports.Audit, []reports.HubFinding) {
	a := d.audit
	a.Controls = catalogue()
	if d.notice.Test {
		a.GeneratedAt = d.notice.GeneratedAt
		return a, []reports.HubFinding{{ID: "test", Over: true, Finding: finding.Finding{
			Account: account, Region: finding.Global, Control: "notices-test", Status: finding.InSync, Severity: finding.Low, Reason: "a test message of orgguard: nothing happened",
		}}}
	}
	var out []reports.HubFinding
	listed := map[string]bool{}
	if d.full {
		for i, id := range reports.Identify(a.Findings) {
			if a.Findings[i].Opens() {
				out = append(out, reports.HubFinding{ID: id, Finding: a.Findings[i]})
				listed[id] = true
			}
		}
	}
	for _, c := range d.notice.Changes {
		if !listed[c.ID] {
			out = append(out, reports.HubFinding{ID: c.ID, Finding: c.Finding, Over: c.Change == finding.Resolved || c.Change == finding.Accepted})
		}
	}
	return a, out
}

// importBatches makes the calls. The findings that were not taken are in the error, and
// those of a call that failed as a whole; the other calls are made all the same.
func importBatches(ctx context.Context, call importFindings, batches [][]json.RawMessage) error {
	var problems []error
	failed, total := 0, 0
	for _, batch := range batches {
		in := &securityhub.BatchImportFindingsInput{}
		for _, text := range batch {
			var f types.AwsSecurityFinding
			if err := json.Unmarshal(text, &f); err != nil {
				return fmt.Errorf("read a finding: %w", err)
			}
			in.Findings = append(in.Findings, f)
		}
		total += len(batch)
		out, err := call(ctx, in)
		var off *types.InvalidAccessException
		switch {
		case errors.As(err, &off):
			return &orgs.Hinted{Err: fmt.Errorf("import findings: %w", err), Next: "switch Security Hub on in the account that runs the audit, or take security_hub out of the notices"}
		case err != nil:
			failed += len(batch)
			problems = append(problems, err)
			continue
		}
		for _, f := range out.FailedFindings {
			if failed++; len(problems) < maxHubErrors {
				problems = append(problems, fmt.Errorf("%s: %s: %s", aws.ToString(f.Id), aws.ToString(f.ErrorCode), aws.ToString(f.ErrorMessage)))
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("Security Hub did not take %d of %d findings: %w", failed, total, errors.Join(problems...)) //nolint:staticcheck // a name
	}
	return nil
}

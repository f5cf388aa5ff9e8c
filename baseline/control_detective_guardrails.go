package baseline

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// GuardrailSettings are the settings of detective-guardrails.
type GuardrailSettings struct {
	// Guidance are Control Tower's words for how much a guardrail matters.
	Guidance []string `yaml:"guidance" doc:"the guardrails of which guidance: mandatory, strongly-recommended, elective"`
	// Skip are guardrails that are left out, by Control Tower's ids.
	Skip []string `yaml:"skip" doc:"guardrails that are left out, by their id, such as AWS-GR_EC2_VOLUME_INUSE_CHECK"`
}

// guidances are Control Tower's.
var guidances = []string{"mandatory", "strongly-recommended", "elective"}

// guardrail is a detective guardrail of Control Tower.
type guardrail struct {
	id       string // Control Tower's
	guidance string
	says     string
	rule     string // the AWS managed rule
	// types are those of the resources that it looks at; empty for a rule that is
	// about the account and is evaluated from time to time.
	types      []string
	parameters []string // name and value in turn
}

// guardrails are the detective guardrails that Control Tower makes of AWS managed
// rules. Those of mandatory guidance are about the log archive alone, and are here
// the same rules for the buckets of every account. Whether an account has a trail
// is left out: Control Tower has a rule of its own for it.
//
// https://docs.aws.amazon.com/config/latest/developerguide/aws-control-tower-detective-guardrails.html
// https://docs.aws.amazon.com/controltower/latest/controlreference/strongly-recommended-detective-controls.html
// https://docs.aws.amazon.com/controltower/latest/controlreference/elective-detective-controls.html
// https://docs.aws.amazon.com/config/latest/developerguide/managed-rules-by-aws-config.html
var guardrails = []guardrail{
	{id: "AWS-GR_AUDIT_BUCKET_PUBLIC_READ_PROHIBITED", guidance: "mandatory", rule: "S3_BUCKET_PUBLIC_READ_PROHIBITED", types: []string{"AWS::S3::Bucket"}, says: "no bucket can be read by the public"},
	{id: "AWS-GR_AUDIT_BUCKET_PUBLIC_WRITE_PROHIBITED", guidance: "mandatory", rule: "S3_BUCKET_PUBLIC_WRITE_PROHIBITED", types: []string{"AWS::S3::Bucket"}, says: "no bucket can be written by the public"},
	{id: "AWS-GR_EBS_OPTIMIZED_INSTANCE", guidance: "strongly-recommended", rule: "EBS_OPTIMIZED_INSTANCE", types: []string{"AWS::EC2::Instance"}, says: "instances are optimized for EBS where they can be"},
	{id: "AWS-GR_EC2_VOLUME_INUSE_CHECK", guidance: "strongly-recommended", rule: "EC2_VOLUME_INUSE_CHECK", types: []string{"AWS::EC2::Volume"}, parameters: []string{"deleteOnTermination", "true"}, says: "EBS volumes are attached, and deleted with their instance"},
	{id: "AWS-GR_ENCRYPTED_VOLUMES", guidance: "strongly-recommended", rule: "ENCRYPTED_VOLUMES", types: []string{"AWS::EC2::Volume"}, says: "attached EBS volumes are encrypted"},
	{id: "AWS-GR_RDS_INSTANCE_PUBLIC_ACCESS_CHECK", guidance: "strongly-recommended", rule: "RDS_INSTANCE_PUBLIC_ACCESS_CHECK", types: []string{"AWS::RDS::DBInstance"}, says: "RDS instances are not open to the public"},
	{id: "AWS-GR_RDS_SNAPSHOTS_PUBLIC_PROHIBITED", guidance: "strongly-recommended", rule: "RDS_SNAPSHOTS_PUBLIC_PROHIBITED", types: []string{"AWS::RDS::DBSnapshot"}, says: "RDS snapshots are not public"},
	{id: "AWS-GR_RDS_STORAGE_ENCRYPTED", guidance: "strongly-recommended", rule: "RDS_STORAGE_ENCRYPTED", types: []string{"AWS::RDS::DBInstance"}, says: "RDS instances encrypt what they store"},
	{id: "AWS-GR_RESTRICTED_COMMON_PORTS", guidance: "strongly-recommended", rule: "RESTRICTED_INCOMING_TRAFFIC", types: []string{"AWS::EC2::SecurityGroup"},
		parameters: []string{"blockedPort1", "20", "blockedPort2", "21", "blockedPort3", "3389", "blockedPort4", "3306", "blockedPort5", "4333"}, says: "the internet does not get in by FTP, RDP or to databases"},
	{id: "AWS-GR_RESTRICTED_SSH", guidance: "strongly-recommended", rule: "INCOMING_SSH_DISABLED", types: []string{"AWS::EC2::SecurityGroup"}, says: "the internet does not get in by SSH"},
	{id: "AWS-GR_ROOT_ACCOUNT_MFA_ENABLED", guidance: "strongly-recommended", rule: "ROOT_ACCOUNT_MFA_ENABLED", says: "the root user has MFA"},
	{id: "AWS-GR_S3_BUCKET_PUBLIC_READ_PROHIBITED", guidance: "strongly-recommended", rule: "S3_BUCKET_PUBLIC_READ_PROHIBITED", types: []string{"AWS::S3::Bucket"}, says: "no bucket can be read by the public"},
	{id: "AWS-GR_S3_BUCKET_PUBLIC_WRITE_PROHIBITED", guidance: "strongly-recommended", rule: "S3_BUCKET_PUBLIC_WRITE_PROHIBITED", types: []string{"AWS::S3::Bucket"}, says: "no bucket can be written by the public"},
	{id: "AWS-GR_IAM_USER_MFA_ENABLED", guidance: "elective", rule: "IAM_USER_MFA_ENABLED", says: "IAM users have MFA"},
	{id: "AWS-GR_MFA_ENABLED_FOR_IAM_CONSOLE_ACCESS", guidance: "elective", rule: "MFA_ENABLED_FOR_IAM_CONSOLE_ACCESS", says: "IAM users with a console password have MFA"},
	{id: "AWS-GR_S3_VERSIONING_ENABLED", guidance: "elective", rule: "S3_BUCKET_VERSIONING_ENABLED", types: []string{"AWS::S3::Bucket"}, says: "buckets keep versions"},
}

// Validate reports settings that make no sense.
func (s *GuardrailSettings) Validate(report func(key, message string)) {
	var ids []string
	for _, g := range guardrails {
		ids = append(ids, g.id)
	}
	for i, x := range s.Guidance {
		if !slices.Contains(guidances, x) {
			report(fmt.Sprintf("guidance[%d]", i), spec.NotOneOf("guidance", x, guidances))
		}
	}
	for i, x := range s.Skip {
		if !slices.Contains(ids, x) {
			report(fmt.Sprintf("skip[%d]", i), spec.NotOneOf("guardrail", x, ids))
		}
	}
	if len(s.wanted()) == 0 {
		report("guidance", "no guardrail is left")
	}
}

// wanted are the guardrails of the settings, each rule once.
func (s *GuardrailSettings) wanted() []guardrail {
	var out []guardrail
	for _, g := range guardrails {
		same := func(o guardrail) bool { return o.rule == g.rule }
		if slices.Contains(s.Guidance, g.guidance) && !slices.Contains(s.Skip, g.id) && !slices.ContainsFunc(out, same) {
			out = append(out, g)
		}
	}
	return out
}

// detectiveGuardrails: what Control Tower would find is found without it. It is off
// by default, because AWS bills every evaluation.
//
// The pack is deployed by a stack set and not by PutOrganizationConformancePack.
// That one reaches every account of the organization at once: it knows no OUs, at
// most 1,000 accounts are left out, an account without a recorder makes it fail,
// new accounts get it before their recorder, and whoever calls it must be the
// management account or a delegated administrator of
// config-multiaccountsetup.amazonaws.com, with trusted access on, in every Region.
// A stack set goes by waves, exclusions and failure tolerance, and waits for the
// recorders. What it lacks, that members cannot delete the pack, the audit sees.
// https://docs.aws.amazon.com/config/latest/APIReference/API_PutOrganizationConformancePack.html
var detectiveGuardrails = Control{
	ID: "detective-guardrails", Title: "AWS Config evaluates Control Tower's detective guardrails", Severity: finding.Medium,
	about: About{
		Why:     "The rules that Control Tower turns on, for organizations and Regions without it. Where Control Tower has an OU, leave the OU out or the rules twice are paid twice.",
		Cost:    "USD 0.001 for each evaluation of a rule, the first 100,000 of an account × Region in a month; and what recording costs",
		Example: `detective-guardrails: {guidance: [strongly-recommended, elective], skip: [AWS-GR_EC2_VOLUME_INUSE_CHECK]}`,
	},
	parts:    []part{{unit: "guardrails"}},
	needs:    []string{"config-recorder"},
	settings: func() any { return &GuardrailSettings{Guidance: []string{"mandatory", "strongly-recommended"}} },
	extend: func(f *fragment, b *Baseline) {
		all := b.settings["detective-guardrails"].(*GuardrailSettings).wanted()
		resources := get(f.root, "Resources")
		for _, pack := range []struct {
			resource string
			regional bool
		}{{"Guardrails", true}, {"AccountGuardrails", false}} {
			mine := slices.DeleteFunc(slices.Clone(all), func(g guardrail) bool { return len(g.types) > 0 != pack.regional })
			if len(mine) > 0 {
				f.at("Resources", pack.resource, "Properties", "TemplateBody").Value = packTemplate(mine)
				continue
			}
			i := slices.IndexFunc(resources.Content, func(n *yaml.Node) bool { return n.Value == pack.resource })
			resources.Content = slices.Delete(resources.Content, i, i+2)
		}
	},
	Reads: []string{"config:DescribeConfigRules", "config:DescribeConformancePackCompliance", "config:DescribeConformancePackStatus"},
	Writes: []string{
		"config:DeleteConformancePack", "config:PutConformancePack",
	},
}

// packTemplate is a conformance pack's own template. Its rules are called
// guardrail-…, not orgguard-…: compliance-alert does not tell of each thing they
// find unless it is asked to.
func packTemplate(list []guardrail) string {
	resources := object()
	for _, g := range list {
		name := strings.ToLower(strings.ReplaceAll(g.rule, "_", "-"))
		props := object("ConfigRuleName", text("!!str", "guardrail-"+name), "Description", text("!!str", g.id+": "+g.says))
		set(props, "Source", object("Owner", text("!!str", "AWS"), "SourceIdentifier", text("!!str", g.rule)))
		if len(g.types) > 0 {
			set(props, "Scope", object("ComplianceResourceTypes", texts(g.types)))
		} else {
			set(props, "MaximumExecutionFrequency", text("!!str", "TwentyFour_Hours"))
		}
		if len(g.parameters) > 0 {
			in := object()
			for i := 0; i+1 < len(g.parameters); i += 2 {
				set(in, g.parameters[i], quoted(g.parameters[i+1]))
			}
			set(props, "InputParameters", in)
		}
		id := strings.ReplaceAll(strings.TrimPrefix(g.id, "AWS-GR_"), "_", "")
		set(resources, id, object("Type", text("!!str", "AWS::Config::ConfigRule"), "Properties", props))
	}
	return template{root: object("Resources", resources)}.body()
}

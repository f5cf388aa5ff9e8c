package baseline

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// ebsState says whether new EBS volumes of an account × Region are encrypted.
// https://docs.aws.amazon.com/ebs/latest/userguide/encryption-by-default.html
type ebsState bool

var ebsKind = kind{
	noun:    "Region setting",
	observe: observeEBS, compare: compareEBS, repair: repairEBS, undo: undoEBS,
}

func observeEBS(ctx context.Context, s site, _ Resource) (any, error) {
	out, err := s.EC2.GetEbsEncryptionByDefault(ctx, &ec2.GetEbsEncryptionByDefaultInput{}, s.at.EC2)
	if err != nil {
		return nil, fmt.Errorf("get EBS encryption by default: %w", err)
	}
	return ebsState(aws.ToBool(out.EbsEncryptionByDefault)), nil
}

func compareEBS(_ Resource, state any) []Mismatch {
	if state.(ebsState) {
		return nil
	}
	return []Mismatch{{Reason: "new EBS volumes are not encrypted by default", Expected: true, Actual: false, Verb: "enable"}}
}

func repairEBS(ctx context.Context, s site, _ Resource, _ any) error {
	if _, err := s.EC2.EnableEbsEncryptionByDefault(ctx, &ec2.EnableEbsEncryptionByDefaultInput{}, s.at.EC2); err != nil {
		return fmt.Errorf("enable EBS encryption by default: %w", err)
	}
	return nil
}

func undoEBS(s scope, _ Resource, _ any) string {
	return "aws ec2 disable-ebs-encryption-by-default --region " + s.region
}

// metadataState is what new instances of an account × Region get, where their
// launch does not say. Empty means no preference.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-IMDS-new-instances.html
type metadataState struct {
	Tokens   string `json:"http_tokens"`
	Enforced string `json:"http_tokens_enforced"`
	Hops     int    `json:"hop_limit"`
	// Declared says that a declarative policy of the organization decides.
	Declared bool `json:"declared,omitempty"`
}

var metadataKind = kind{
	noun:    "Region setting",
	observe: observeMetadata, compare: compareMetadata, repair: repairMetadata, undo: undoMetadata,
}

func observeMetadata(ctx context.Context, s site, _ Resource) (any, error) {
	out, err := s.EC2.GetInstanceMetadataDefaults(ctx, &ec2.GetInstanceMetadataDefaultsInput{}, s.at.EC2)
	if err != nil {
		return nil, fmt.Errorf("get the instance metadata defaults: %w", err)
	}
	var st metadataState
	if a := out.AccountLevel; a != nil {
		st = metadataState{
			Tokens: string(a.HttpTokens), Enforced: string(a.HttpTokensEnforced), Hops: int(aws.ToInt32(a.HttpPutResponseHopLimit)),
			Declared: a.ManagedBy == types.ManagedByDeclarativePolicy,
		}
	}
	return st, nil
}

func compareMetadata(r Resource, state any) []Mismatch {
	st := state.(metadataState)
	var out []Mismatch
	differs := func(reason string, want, have any) {
		m := Mismatch{Reason: reason, Expected: want, Actual: have, Verb: "update"}
		if have == "" || have == 0 {
			m.Actual = "no preference"
		}
		if st.Declared {
			m.Manual = "change the organization's declarative policy for EC2: it decides here, and no account can"
		}
		out = append(out, m)
	}
	if want := r.str("HttpTokens"); st.Tokens != want {
		differs("new instances may answer IMDSv1", want, st.Tokens)
	}
	if want := r.str("HttpTokensEnforced"); want != "" && st.Enforced != want {
		differs("launches with IMDSv1 are not refused", want, st.Enforced)
	}
	if want := r.number("HttpPutResponseHopLimit"); want != 0 && st.Hops != want {
		differs("the hop limit of new instances differs", want, st.Hops)
	}
	return out
}

func repairMetadata(ctx context.Context, s site, r Resource, _ any) error {
	in := &ec2.ModifyInstanceMetadataDefaultsInput{
		HttpTokens:              types.MetadataDefaultHttpTokensState(r.str("HttpTokens")),
		HttpTokensEnforced:      types.DefaultHttpTokensEnforcedState(r.str("HttpTokensEnforced")),
		HttpPutResponseHopLimit: small(r.number("HttpPutResponseHopLimit")),
	}
	if _, err := s.EC2.ModifyInstanceMetadataDefaults(ctx, in, s.at.EC2); err != nil {
		return fmt.Errorf("modify the instance metadata defaults: %w", err)
	}
	return nil
}

func undoMetadata(s scope, r Resource, state any) string {
	st, _ := state.(metadataState)
	before := func(v string) string {
		if v == "" {
			return "no-preference"
		}
		return v
	}
	text := "aws ec2 modify-instance-metadata-defaults --region " + s.region
	if r.str("HttpTokensEnforced") != "" {
		text += " --http-tokens-enforced " + before(st.Enforced)
	}
	if r.number("HttpPutResponseHopLimit") != 0 {
		hops := st.Hops
		if hops == 0 {
			hops = -1
		}
		text += fmt.Sprintf(" --http-put-response-hop-limit %d", hops)
	}
	return text + " --http-tokens " + before(st.Tokens)
}

package baseline

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	"github.com/aws/aws-sdk-go-v2/service/s3control/types"
)

// publicBlockState is an account's S3 public access block. An account without one
// blocks nothing.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
type publicBlockState map[string]bool

var publicBlockKind = kind{
	noun: "account setting", global: true,
	observe: observePublicBlock, compare: comparePublicBlock, repair: repairPublicBlock, undo: undoPublicBlock,
}

func observePublicBlock(ctx context.Context, s site, _ Resource) (any, error) {
	out, err := s.S3Control.GetPublicAccessBlock(ctx, &s3control.GetPublicAccessBlockInput{AccountId: aws.String(string(s.at.Account))}, s.at.S3Control)
	if notFound(err) {
		return publicBlockState{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get the account's S3 public access block: %w", err)
	}
	b := out.PublicAccessBlockConfiguration
	return publicBlockState{
		"BlockPublicAcls": aws.ToBool(b.BlockPublicAcls), "IgnorePublicAcls": aws.ToBool(b.IgnorePublicAcls),
		"BlockPublicPolicy": aws.ToBool(b.BlockPublicPolicy), "RestrictPublicBuckets": aws.ToBool(b.RestrictPublicBuckets),
	}, nil
}

func comparePublicBlock(r Resource, state any) []Mismatch {
	st := state.(publicBlockState)
	var off []string
	for _, k := range sortedKeys(r.Props) {
		if r.Props[k] == true && !st[k] {
			off = append(off, k)
		}
	}
	if len(off) == 0 {
		return nil
	}
	m := Mismatch{Reason: "S3 may be opened to the public: " + joinAnd(off) + " off", Expected: r.Props, Actual: st, Verb: "enable"}
	if len(st) == 0 {
		m.Actual = "no public access block"
	}
	return []Mismatch{m}
}

func repairPublicBlock(ctx context.Context, s site, r Resource, _ any) error {
	on := func(k string) *bool { return aws.Bool(r.Props[k] == true) }
	_, err := s.S3Control.PutPublicAccessBlock(ctx, &s3control.PutPublicAccessBlockInput{
		AccountId: aws.String(string(s.at.Account)),
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
			BlockPublicAcls: on("BlockPublicAcls"), IgnorePublicAcls: on("IgnorePublicAcls"),
			BlockPublicPolicy: on("BlockPublicPolicy"), RestrictPublicBuckets: on("RestrictPublicBuckets"),
		},
	}, s.at.S3Control)
	if err != nil {
		return fmt.Errorf("put the account's S3 public access block: %w", err)
	}
	return nil
}

func undoPublicBlock(s scope, _ Resource, state any) string {
	st, _ := state.(publicBlockState)
	if len(st) == 0 {
		return fmt.Sprintf("aws s3control delete-public-access-block --account-id %s", s.account)
	}
	var parts []string
	for _, k := range sortedKeys(st) {
		parts = append(parts, fmt.Sprintf("%s=%v", k, st[k]))
	}
	return fmt.Sprintf("aws s3control put-public-access-block --account-id %s --public-access-block-configuration %s", s.account, strings.Join(parts, ","))
}

// passwordState is an account's password policy for IAM users.
type passwordState struct {
	Set       bool            // false: AWS's default policy
	Length    int             // at least
	Reuse     int             // passwords that may not be used again; 0: all may
	MaxAge    int             // days; 0: they do not expire
	Hard      bool            // an expired password can only be reset by an administrator
	Character map[string]bool // what a password must have, and whether users may change theirs
}

var passwordKind = kind{
	noun: "account setting", global: true,
	observe: observePasswords, compare: comparePasswords, repair: repairPasswords, undo: undoPasswords,
}

// passwordFlags are the policy's switches.
var passwordFlags = []string{"RequireUppercaseCharacters", "RequireLowercaseCharacters", "RequireNumbers", "RequireSymbols", "AllowUsersToChangePassword"}

func observePasswords(ctx context.Context, s site, _ Resource) (any, error) {
	out, err := s.IAM.GetAccountPasswordPolicy(ctx, &iam.GetAccountPasswordPolicyInput{}, s.at.IAM)
	if notFound(err) {
		return passwordState{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get the account's password policy: %w", err)
	}
	p := out.PasswordPolicy
	return passwordState{
		Set: true, Length: int(aws.ToInt32(p.MinimumPasswordLength)), Reuse: int(aws.ToInt32(p.PasswordReusePrevention)),
		MaxAge: int(aws.ToInt32(p.MaxPasswordAge)), Hard: aws.ToBool(p.HardExpiry),
		Character: map[string]bool{
			"RequireUppercaseCharacters": p.RequireUppercaseCharacters, "RequireLowercaseCharacters": p.RequireLowercaseCharacters,
			"RequireNumbers": p.RequireNumbers, "RequireSymbols": p.RequireSymbols, "AllowUsersToChangePassword": p.AllowUsersToChangePassword,
		},
	}, nil
}

// number is a numeric property, whether it was written or is a parameter's text.
func (r Resource) number(key string) int {
	n, _ := strconv.Atoi(r.str(key))
	return n
}

// comparePasswords takes a policy that is stricter than the template for in sync.
func comparePasswords(r Resource, state any) []Mismatch {
	st := state.(passwordState)
	if !st.Set {
		return []Mismatch{{Reason: "the account has no password policy of its own", Expected: r.Props, Actual: "AWS's default policy", Verb: "create"}}
	}
	var out []Mismatch
	weak := func(reason string, want, have any) {
		out = append(out, Mismatch{Reason: reason, Expected: want, Actual: have, Verb: "update"})
	}
	if want := r.number("MinimumPasswordLength"); st.Length < want {
		weak("passwords may be shorter", want, st.Length)
	}
	if want := r.number("PasswordReusePrevention"); st.Reuse < want {
		weak("passwords may be used again sooner", want, st.Reuse)
	}
	if want := r.number("MaxPasswordAge"); want > 0 && (st.MaxAge == 0 || st.MaxAge > want) {
		weak("passwords expire later or never", want, st.MaxAge)
	}
	for _, flag := range passwordFlags {
		if r.Props[flag] == true && !st.Character[flag] {
			weak("the password policy's "+flag+" is off", true, false)
		}
	}
	return out
}

// repairPasswords makes the policy as strict as the template and leaves it
// stricter where it is.
func repairPasswords(ctx context.Context, s site, r Resource, state any) error {
	st, _ := state.(passwordState)
	in := &iam.UpdateAccountPasswordPolicyInput{
		MinimumPasswordLength:      small(max(st.Length, r.number("MinimumPasswordLength"))),
		PasswordReusePrevention:    small(max(st.Reuse, r.number("PasswordReusePrevention"))),
		MaxPasswordAge:             small(strictest(st.MaxAge, r.number("MaxPasswordAge"))),
		RequireUppercaseCharacters: st.Character["RequireUppercaseCharacters"] || r.Props["RequireUppercaseCharacters"] == true,
		RequireLowercaseCharacters: st.Character["RequireLowercaseCharacters"] || r.Props["RequireLowercaseCharacters"] == true,
		RequireNumbers:             st.Character["RequireNumbers"] || r.Props["RequireNumbers"] == true,
		RequireSymbols:             st.Character["RequireSymbols"] || r.Props["RequireSymbols"] == true,
		AllowUsersToChangePassword: st.Character["AllowUsersToChangePassword"] || r.Props["AllowUsersToChangePassword"] == true,
	}
	if st.Hard {
		in.HardExpiry = aws.Bool(true)
	}
	if _, err := s.IAM.UpdateAccountPasswordPolicy(ctx, in, s.at.IAM); err != nil {
		return fmt.Errorf("update the account's password policy: %w", err)
	}
	return nil
}

// small is a number for the API; nil for 0, which the API knows as "not given".
func small(n int) *int32 {
	if n == 0 {
		return nil
	}
	return aws.Int32(int32(n)) //nolint:gosec // a length or a number of days
}

// strictest is the lower of two ages of which 0 means never.
func strictest(a, b int) int {
	if a == 0 || b == 0 {
		return cmp.Or(a, b)
	}
	return min(a, b)
}

func undoPasswords(_ scope, _ Resource, state any) string {
	st, _ := state.(passwordState)
	if !st.Set {
		return "aws iam delete-account-password-policy"
	}
	b := fmt.Sprintf("aws iam update-account-password-policy --minimum-password-length %d", st.Length)
	if st.Reuse > 0 {
		b += fmt.Sprintf(" --password-reuse-prevention %d", st.Reuse)
	}
	if st.MaxAge > 0 {
		b += fmt.Sprintf(" --max-password-age %d", st.MaxAge)
	}
	options := map[string]string{
		"RequireUppercaseCharacters": "require-uppercase-characters", "RequireLowercaseCharacters": "require-lowercase-characters",
		"RequireNumbers": "require-numbers", "RequireSymbols": "require-symbols", "AllowUsersToChangePassword": "allow-users-to-change-password",
	}
	for _, flag := range passwordFlags {
		if st.Character[flag] {
			b += " --" + options[flag]
		}
	}
	if st.Hard {
		b += " --hard-expiry"
	}
	return b
}

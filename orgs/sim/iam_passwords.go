package sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

func noPasswordPolicy(c *call) error {
	return noSuchEntity("The Password Policy with domain name %s cannot be found.", c.caller.Account)
}

func getPasswordPolicy(c *call, _ *iam.GetAccountPasswordPolicyInput) (*iam.GetAccountPasswordPolicyOutput, error) {
	p := c.account().IAM.Passwords
	if p == nil {
		return nil, noPasswordPolicy(c)
	}
	out := detach(*p)
	return &iam.GetAccountPasswordPolicyOutput{PasswordPolicy: &out}, nil
}

// updatePasswordPolicy replaces the whole policy: what the call leaves out goes
// back to its default.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccountPasswordPolicy.html
func updatePasswordPolicy(c *call, in *iam.UpdateAccountPasswordPolicyInput) (*iam.UpdateAccountPasswordPolicyOutput, error) {
	within := func(name string, v *int32, low, high int32) error {
		if v != nil && (*v < low || *v > high) {
			return iamValidation("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value between %d and %d", *v, name, low, high)
		}
		return nil
	}
	for _, err := range []error{
		within("minimumPasswordLength", in.MinimumPasswordLength, 6, 128),
		within("maxPasswordAge", in.MaxPasswordAge, 1, 1095),
		within("passwordReusePrevention", in.PasswordReusePrevention, 1, 24),
	} {
		if err != nil {
			return nil, err
		}
	}
	length := aws.Int32(6)
	if in.MinimumPasswordLength != nil {
		length = aws.Int32(*in.MinimumPasswordLength)
	}
	p := detach(types.PasswordPolicy{
		AllowUsersToChangePassword: in.AllowUsersToChangePassword, ExpirePasswords: in.MaxPasswordAge != nil, HardExpiry: in.HardExpiry,
		MaxPasswordAge: in.MaxPasswordAge, MinimumPasswordLength: length, PasswordReusePrevention: in.PasswordReusePrevention,
		RequireLowercaseCharacters: in.RequireLowercaseCharacters, RequireNumbers: in.RequireNumbers,
		RequireSymbols: in.RequireSymbols, RequireUppercaseCharacters: in.RequireUppercaseCharacters,
	})
	c.account().IAM.Passwords = &p
	return &iam.UpdateAccountPasswordPolicyOutput{}, nil
}

func deletePasswordPolicy(c *call, _ *iam.DeleteAccountPasswordPolicyInput) (*iam.DeleteAccountPasswordPolicyOutput, error) {
	if c.account().IAM.Passwords == nil {
		return nil, noPasswordPolicy(c)
	}
	c.account().IAM.Passwords = nil
	return &iam.DeleteAccountPasswordPolicyOutput{}, nil
}

package baseline

import (
	"strconv"

	"github.com/orgguard/orgguard/orgs/finding"
)

// PasswordSettings are the settings of password-policy.
type PasswordSettings struct {
	MinLength int `yaml:"min_length" doc:"the least length of a password, 6 to 128"`
	// Reuse is how many of the last passwords may not be used again.
	Reuse int `yaml:"reuse" doc:"how many of the last passwords may not be used again"`
	// MaxAge is after how many days a password expires; 0 means that it need
	// not.
	MaxAge int `yaml:"max_age" doc:"after how many days a password expires; 0: it need not"`
}

// Validate reports settings that make no sense.
func (s *PasswordSettings) Validate(report func(key, message string)) {
	if s.MinLength < 6 || s.MinLength > 128 {
		report("min_length", "want 6 to 128")
	}
	if s.Reuse < 1 || s.Reuse > 24 {
		report("reuse", "want 1 to 24")
	}
	if s.MaxAge < 0 || s.MaxAge > 1095 {
		report("max_age", "want 1 to 1095 days, or 0 for passwords that need not expire")
	}
}

// passwordPolicy: IAM users have good passwords. What is stricter in an account
// stays so. It costs nothing. It is off by default because users whose password
// does not do are asked for a new one.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_passwords_account-policy.html
var passwordPolicy = Control{
	ID: "password-policy", Title: "IAM users have good passwords", Severity: finding.Medium,
	about: About{
		Why:     "Without a policy a password of an IAM user may be short, and used again.",
		Cost:    "nothing",
		Example: `password-policy: {min_length: 14, reuse: 24}`,
	},
	parts:    []part{{unit: "account"}},
	settings: func() any { return &PasswordSettings{MinLength: 14, Reuse: 24} },
	params: func(s any, _ *Baseline) map[string]string {
		p := s.(*PasswordSettings)
		return map[string]string{
			"PasswordMinimumLength": strconv.Itoa(p.MinLength), "PasswordReusePrevention": strconv.Itoa(p.Reuse), "PasswordMaxAge": strconv.Itoa(p.MaxAge),
		}
	},
	Reads:  []string{"iam:GetAccountPasswordPolicy"},
	Writes: []string{"iam:UpdateAccountPasswordPolicy"},
}

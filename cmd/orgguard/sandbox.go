package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/chatbot"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/smithy-go"
	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/scp/protect"
)

func newSandboxCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "sandbox",
		Usage: "the simulated organization: make one, look at it, tamper with it",
		Subcommands: []*cli.Command{
			sandboxCreate(s), sandboxShow(s), sandboxTamper(s), sandboxTry(s), sandboxConfirm(s), sandboxMail(s), sandboxSignIn(s), sandboxJoin(s),
		},
	}
}

// inWorld opens the simulated organization and runs fn on it.
func inWorld(c *cli.Context, fn func(context.Context, globals, *sim.World) error) error {
	g, err := readGlobals(c)
	if err != nil {
		return err
	}
	w, err := sim.Open(g.sandboxFile)
	if err != nil {
		return err
	}
	err = fn(c.Context, g, w)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return err
}

// inOrganization is inWorld with its organization read.
func inOrganization(c *cli.Context, fn func(context.Context, *sim.World, *orgs.Organization) error) error {
	return inWorld(c, func(ctx context.Context, _ globals, w *sim.World) error {
		org, err := orgs.Load(ctx, organizations.NewFromConfig(w.ManagementConfig("us-east-1")))
		if err != nil {
			return err
		}
		return fn(ctx, w, org)
	})
}

func sandboxCreate(s streams) *cli.Command {
	return &cli.Command{
		Name:  "create",
		Usage: "make a simulated organization, and a configuration that fits it",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "scenario", Usage: "which one: `" + strings.Join(sim.Scenarios(), "|") + "`", Value: "demo"},
			&cli.IntFlag{Name: "accounts", Usage: "instead of a scenario, `N` accounts in OUs of twenty"},
			&cli.StringFlag{Name: "spec", Usage: "instead of a scenario, the organization that `FILE` describes"},
			&cli.BoolFlag{Name: "force", Usage: "replace the one that is there"},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			var spec sim.Spec
			switch n := c.Int("accounts"); {
			case n < 0 || n > 10_000:
				return usage("--accounts %d: want 1 to 10000", n)
			case c.String("spec") != "":
				src, err := os.ReadFile(c.String("spec"))
				if err != nil {
					return badInput(err)
				}
				if spec, err = sim.ParseSpec(src); err != nil {
					return badInput(fmt.Errorf("%s: %w", c.String("spec"), err))
				}
			case n > 0:
				spec = sim.Generate(n, (n+19)/20, 2)
			default:
				if spec, err = sim.Scenario(c.String("scenario")); err != nil {
					return badInput(err)
				}
			}
			if err := os.MkdirAll(filepath.Dir(g.sandboxFile), 0o750); err != nil {
				return err
			}
			w, err := sim.Create(g.sandboxFile, spec, c.Bool("force"))
			if err != nil {
				return badInput(err)
			}
			w.SetTiming(sim.Timing{StackInstance: 60 * time.Millisecond, PolicyType: 200 * time.Millisecond, HubPolicy: 10 * time.Minute})
			config := sandboxConfig(g.sandboxFile)
			if err := writeFile(config, []byte(sampleConfig(spec))); err != nil {
				return errors.Join(err, w.Close())
			}
			if err := w.Close(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.out, "made %s: %s\nits configuration is %s; every command works on it with --sandbox\n",
				reports.Safe(g.sandboxFile), reports.Safe(spec.Description), reports.Safe(config))
			return err
		},
	}
}

func sandboxShow(s streams) *cli.Command {
	return &cli.Command{
		Name:  "show",
		Usage: "print the tree: OUs, accounts, SCPs",
		Action: func(c *cli.Context) error {
			return inOrganization(c, func(ctx context.Context, w *sim.World, org *orgs.Organization) error {
				client := organizations.NewFromConfig(w.ManagementConfig("us-east-1"))
				attached := func(id string) string {
					out, err := client.ListPoliciesForTarget(ctx, &organizations.ListPoliciesForTargetInput{TargetId: aws.String(id), Filter: types.PolicyTypeServiceControlPolicy})
					if err != nil || len(out.Policies) == 0 { // the policy type is off
						return ""
					}
					var names []string
					for _, p := range out.Policies {
						names = append(names, reports.Safe(aws.ToString(p.Name)))
					}
					return "  [" + strings.Join(names, ", ") + "]"
				}
				var b strings.Builder
				var show func(n orgs.OU, depth int)
				show = func(n orgs.OU, depth int) {
					pad := strings.Repeat("  ", depth)
					fmt.Fprintf(&b, "%s%s (%s)%s\n", pad, reports.Safe(n.Name), n.ID, attached(string(n.ID)))
					for _, a := range org.Accounts {
						if a.Parent == n.ID {
							fmt.Fprintf(&b, "%s  %s %-16s %s\n", pad, a.ID, reports.Safe(a.Name), a.State)
						}
					}
					for _, child := range org.Children(n.ID) {
						show(child, depth+1)
					}
				}
				show(org.OUs[org.Root], 0)
				_, err := s.out.Write([]byte(b.String()))
				return err
			})
		},
	}
}

// tamperings are what `sandbox tamper` can do, as somebody who may: the access
// role, which is exempt from the SCP, or the management account.
var tamperings = []string{
	"recorder-stopped", "rule-disabled", "scp-detached", "boundary-removed", "guardrails-deleted", "trail-stopped", "trail-changed", "trail-filter-deleted",
	"guardduty-auto-enable-off", "guardduty-member-removed", "guardduty-member-suspended", "chat-changed", "analyzer-deleted",
	"securityhub-auto-enable-off", "securityhub-member-removed", "securityhub-standard-off", "securityhub-policy-detached",
	"live-rule-disabled", "live-target-removed", "alert-bus-closed", "alert-topic-closed",
}

// inNoAccount are the tamperings with what is the organization's.
var inNoAccount = []string{"scp-detached", "trail-stopped", "trail-changed", "trail-filter-deleted", "guardduty-auto-enable-off", "analyzer-deleted", "securityhub-auto-enable-off", "securityhub-policy-detached"}

// ofOneRegion are those of them that are done in a Region.
var ofOneRegion = []string{"guardduty-auto-enable-off", "analyzer-deleted", "securityhub-auto-enable-off"}

// inNoRegion are the tamperings with what has no Region.
var inNoRegion = []string{"boundary-removed", "chat-changed"}

func sandboxTamper(s streams) *cli.Command {
	return &cli.Command{
		Name:  "tamper",
		Usage: "switch something off, as a person with enough rights would",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "what", Usage: "`" + strings.Join(tamperings, "|") + "`", Required: true},
			&cli.StringFlag{Name: "account", Usage: "in this account, by number or `NAME`"},
			&cli.StringFlag{Name: "region", Usage: "in this `REGION`"},
			&cli.StringFlag{Name: "ou", Usage: "from this root or OU, by id, name or `PATH` (scp-detached, securityhub-policy-detached)"},
		},
		Action: func(c *cli.Context) error {
			what := c.String("what")
			switch {
			case !slices.Contains(tamperings, what):
				return usage("unknown --what %q; there are %s", what, strings.Join(tamperings, ", "))
			case strings.HasSuffix(what, "-detached") && c.String("ou") == "":
				return usage("--what %s needs --ou", what)
			case slices.Contains(inNoRegion, what) && c.String("account") == "":
				return usage("--what %s needs --account", what)
			case slices.Contains(ofOneRegion, what) && c.String("region") == "":
				return usage("--what %s needs --region", what)
			case !slices.Contains(inNoAccount, what) && !slices.Contains(inNoRegion, what) && (c.String("account") == "" || c.String("region") == ""):
				return usage("--what %s needs --account and --region", what)
			}
			return inOrganization(c, func(ctx context.Context, w *sim.World, org *orgs.Organization) error {
				switch what {
				case "scp-detached":
					return detachPolicy(ctx, s, w, org, c.String("ou"), types.PolicyTypeServiceControlPolicy, protect.PolicyName)
				case "securityhub-policy-detached":
					return detachPolicy(ctx, s, w, org, c.String("ou"), types.PolicyTypeSecurityhubPolicy, baseline.HubPolicyName)
				}
				if strings.HasPrefix(what, "trail-") {
					return tamperTrail(ctx, s, w, what)
				}
				region := cmp.Or(c.String("region"), org.Partition.GlobalRegion)
				if err := knownRegion(org, region); err != nil {
					return err
				}
				switch what {
				case "guardduty-auto-enable-off":
					return tamperGuardDuty(ctx, s, w, what, region, orgs.Account{})
				case "analyzer-deleted":
					return tamperAnalyzer(ctx, s, w, region)
				case "securityhub-auto-enable-off":
					return tamperSecurityHub(ctx, s, w, what, region, orgs.Account{})
				}
				a, err := org.FindAccount(c.String("account"))
				if err != nil {
					return badInput(err)
				}
				cfg := operator(w, a.ID, region)
				switch what {
				case "boundary-removed":
					_, err := iam.NewFromConfig(cfg).DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: aws.String("orgguard-SysAdmin")})
					return told(s, err, "removed the boundary of role orgguard-SysAdmin in %s (%s)", a.ID, a.Name)
				case "chat-changed":
					return tamperChat(ctx, s, w, a)
				case "recorder-stopped":
					client := configservice.NewFromConfig(cfg)
					out, err := client.DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{})
					if err != nil {
						return err
					}
					if len(out.ConfigurationRecorders) == 0 {
						return usage("account %s has no recorder in %s to stop", a.ID, cfg.Region)
					}
					_, err = client.StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: out.ConfigurationRecorders[0].Name})
					return told(s, err, "stopped recorder %s in %s (%s), %s", aws.ToString(out.ConfigurationRecorders[0].Name), a.ID, a.Name, cfg.Region)
				case "guardrails-deleted":
					_, err := configservice.NewFromConfig(cfg).DeleteConformancePack(ctx, &configservice.DeleteConformancePackInput{ConformancePackName: aws.String("orgguard-guardrails")})
					return told(s, err, "deleted conformance pack orgguard-guardrails in %s (%s), %s", a.ID, a.Name, cfg.Region)
				case "rule-disabled":
					_, err := eventbridge.NewFromConfig(cfg).DisableRule(ctx, &eventbridge.DisableRuleInput{Name: aws.String("orgguard-config-change")})
					return told(s, err, "disabled rule orgguard-config-change in %s (%s), %s", a.ID, a.Name, cfg.Region)
				case "guardduty-member-removed", "guardduty-member-suspended":
					return tamperGuardDuty(ctx, s, w, what, region, a)
				case "live-rule-disabled", "live-target-removed", "alert-bus-closed", "alert-topic-closed":
					return tamperAlerts(ctx, s, w, what, region, a)
				case "securityhub-member-removed", "securityhub-standard-off":
					return tamperSecurityHub(ctx, s, w, what, region, a)
				}
				return nil
			})
		},
	}
}

// operator is somebody who may tamper with an account: the access role there.
func operator(w *sim.World, account orgs.AccountID, region string) aws.Config {
	return w.Config(region, w.RolePrincipal(string(account), "OrganizationAccountAccessRole", "operator"))
}

// knownRegion refuses a Region that the partition does not have.
func knownRegion(org *orgs.Organization, region string) error {
	if all := org.Partition.All(); !slices.Contains(all, region) {
		return badInput(&orgs.UnknownError{Kind: "Region", Name: region, Near: orgs.Nearest(region, all)})
	}
	return nil
}

func told(s streams, err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, reports.Safe(fmt.Sprintf(format, args...)))
	return err
}

// detachPolicy takes orgguard's policy of a type off an OU, in the management account.
func detachPolicy(ctx context.Context, s streams, w *sim.World, org *orgs.Organization, ref string, kind types.PolicyType, name string) error {
	ou, err := org.FindOU(ref)
	if err != nil {
		return badInput(err)
	}
	client := organizations.NewFromConfig(w.ManagementConfig("us-east-1"))
	out, err := client.ListPoliciesForTarget(ctx, &organizations.ListPoliciesForTargetInput{TargetId: aws.String(string(ou.ID)), Filter: kind})
	if err != nil {
		return err
	}
	for _, p := range out.Policies {
		if aws.ToString(p.Name) == name {
			_, err := client.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: p.Id, TargetId: aws.String(string(ou.ID))})
			return told(s, err, "detached %s from OU %s", name, org.PathName(ou.ID))
		}
	}
	return usage("policy %s is not attached to OU %s", name, ref)
}

// tamperTrail does something to the organization's trail, in the management account.
func tamperTrail(ctx context.Context, s streams, w *sim.World, what string) error {
	out, err := cloudtrail.NewFromConfig(w.ManagementConfig("us-east-1")).DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(out.TrailList, func(t trailtypes.Trail) bool { return aws.ToBool(t.IsOrganizationTrail) })
	if i < 0 {
		return usage("the organization has no trail")
	}
	t := out.TrailList[i]
	cfg := w.ManagementConfig(aws.ToString(t.HomeRegion))
	client, logs := cloudtrail.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg)
	switch what {
	case "trail-stopped":
		_, err = client.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: t.TrailARN})
		return told(s, err, "stopped trail %s", aws.ToString(t.Name))
	case "trail-changed":
		_, err = client.UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: t.TrailARN, IsMultiRegionTrail: aws.Bool(false), EnableLogFileValidation: aws.Bool(false)})
		return told(s, err, "trail %s records one Region only, and its log files are not validated", aws.ToString(t.Name))
	}
	_, group, _ := strings.Cut(strings.TrimSuffix(aws.ToString(t.CloudWatchLogsLogGroupArn), ":*"), ":log-group:")
	_, err = logs.DeleteMetricFilter(ctx, &cloudwatchlogs.DeleteMetricFilterInput{LogGroupName: aws.String(group), FilterName: aws.String("orgguard-unauthorized")})
	return told(s, err, "deleted metric filter orgguard-unauthorized of log group %s", group)
}

// tamperChat lets the members of an account's Slack channels do everything there.
func tamperChat(ctx context.Context, s streams, w *sim.World, a orgs.Account) error {
	client := chatbot.NewFromConfig(operator(w, a.ID, "us-east-2"))
	out, err := client.DescribeSlackChannelConfigurations(ctx, &chatbot.DescribeSlackChannelConfigurationsInput{})
	if err != nil {
		return err
	}
	if len(out.SlackChannelConfigurations) == 0 {
		return usage("account %s has no Slack channel", a.ID)
	}
	ch := out.SlackChannelConfigurations[0]
	_, err = client.UpdateSlackChannelConfiguration(ctx, &chatbot.UpdateSlackChannelConfigurationInput{
		ChatConfigurationArn: ch.ChatConfigurationArn, SlackChannelId: ch.SlackChannelId, GuardrailPolicyArns: []string{"arn:aws:iam::aws:policy/AdministratorAccess"},
	})
	return told(s, err, "Slack channel %s of %s (%s) has the guardrail AdministratorAccess", aws.ToString(ch.ConfigurationName), a.ID, a.Name)
}

func sandboxTry(s streams) *cli.Command {
	return &cli.Command{
		Name:  "try",
		Usage: "stop the recorder of a member account as its own administrator, and print what AWS answers; exit 1 when it is refused",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "account", Usage: "in this account, by number or `NAME`", Required: true},
			&cli.StringFlag{Name: "region", Usage: "in this `REGION`", Required: true},
			&cli.StringFlag{Name: "role", Usage: "as this `ROLE`", Value: "Admin"},
		},
		Action: func(c *cli.Context) error {
			return inOrganization(c, func(ctx context.Context, w *sim.World, org *orgs.Organization) error {
				a, err := org.FindAccount(c.String("account"))
				if err != nil {
					return badInput(err)
				}
				if err := knownRegion(org, c.String("region")); err != nil {
					return err
				}
				client := configservice.NewFromConfig(w.Config(c.String("region"), w.RolePrincipal(string(a.ID), c.String("role"), "alice")))
				name := "orgguard"
				if out, err := client.DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{}); err == nil && len(out.ConfigurationRecorders) > 0 {
					name = aws.ToString(out.ConfigurationRecorders[0].Name)
				}
				_, err = client.StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String(name)})
				var api smithy.APIError
				switch {
				case errors.As(err, &api):
					fmt.Fprintf(s.out, "refused: %s: %s\n", api.ErrorCode(), reports.Safe(api.ErrorMessage()))
					return status(exitDrift)
				case err != nil:
					return err
				}
				fmt.Fprintf(s.out, "done: recorder %s was stopped\n", reports.Safe(name))
				return nil
			})
		},
	}
}

func sandboxConfirm(s streams) *cli.Command {
	return &cli.Command{
		Name:  "confirm",
		Usage: "click every confirmation mail of SNS",
		Flags: []cli.Flag{&cli.StringFlag{Name: "email", Usage: "only those to this `ADDRESS`"}},
		Action: func(c *cli.Context) error {
			return inWorld(c, func(_ context.Context, _ globals, w *sim.World) error {
				_, err := fmt.Fprintln(s.out, "confirmed "+reports.Count(w.ConfirmSubscriptions(c.String("email")), "subscription", "subscriptions"))
				return err
			})
		},
	}
}

func sandboxMail(s streams) *cli.Command {
	return &cli.Command{
		Name:  "mail",
		Usage: "print the mails that topics sent",
		Flags: []cli.Flag{&cli.IntFlag{Name: "last", Usage: "only the last `N`", Value: 10}},
		Action: func(c *cli.Context) error {
			return inWorld(c, func(_ context.Context, g globals, w *sim.World) error {
				box := w.Outbox()
				if n := c.Int("last"); n >= 0 && len(box) > n {
					box = box[len(box)-n:]
				}
				for _, m := range box {
					_, err := fmt.Fprintf(s.out, "To: %s\nSubject: %s\n\n%s\n", reports.Safe(m.Endpoint), reports.Safe(m.Subject), strings.ReplaceAll(safeLines(m.Message), "\n  ", "\n"))
					if err != nil {
						return err
					}
				}
				if len(box) == 0 && !g.quiet {
					fmt.Fprintln(s.err, "orgguard: no mail was sent")
				}
				return nil
			})
		},
	}
}

// sandboxJoin creates an account, for what happens to those that join after a rollout.
func sandboxJoin(s streams) *cli.Command {
	return &cli.Command{
		Name:  "join",
		Usage: "let a new account join the organization",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "the account's `NAME`", Required: true},
			&cli.StringFlag{Name: "ou", Usage: "move it to this OU, by id, name or `PATH`; without it stays below the root"},
			&cli.BoolFlag{Name: "invited", Usage: "an account that had a life of its own, and accepts an invitation, instead of one that is created"},
		},
		Action: func(c *cli.Context) error {
			return inOrganization(c, func(ctx context.Context, w *sim.World, org *orgs.Organization) error {
				to := org.Root
				if ou := c.String("ou"); ou != "" {
					found, err := org.FindOU(ou)
					if err != nil {
						return badInput(err)
					}
					to = found.ID
				}
				id, err := joinAccount(ctx, w, c.String("name"), c.Bool("invited"), org.Root, to)
				return told(s, err, "account %s (%s) joined", id, c.String("name"))
			})
		},
	}
}

// joinAccount creates an account, or has one accept an invitation, and moves it to where it
// belongs.
func joinAccount(ctx context.Context, w *sim.World, name string, invited bool, root, to orgs.NodeID) (id string, err error) {
	address := fmt.Sprintf("aws+%08x@example.com", fnv32(name)) // a name may hold what no address does
	client := organizations.NewFromConfig(w.ManagementConfig("us-east-1"))
	if invited {
		id, err = w.Invite(name, address)
	} else {
		id, err = createAccount(ctx, client, name, address)
	}
	if err == nil && to != root {
		_, err = client.MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: &id, SourceParentId: aws.String(string(root)), DestinationParentId: aws.String(string(to))})
	}
	return id, badInput(err)
}

func createAccount(ctx context.Context, client *organizations.Client, name, address string) (string, error) {
	made, err := client.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: &name, Email: &address})
	if err != nil {
		return "", err
	}
	// The simulated organization is done by the time somebody asks.
	out, err := client.DescribeCreateAccountStatus(ctx, &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: made.CreateAccountStatus.Id})
	if err != nil {
		return "", err
	}
	status := out.CreateAccountStatus
	if status.State != types.CreateAccountStateSucceeded {
		return "", usage("the account was not created: %s %s", status.State, status.FailureReason)
	}
	return aws.ToString(status.AccountId), nil
}

func fnv32(s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s)) // it never fails
	return h.Sum32()
}

func sandboxSignIn(s streams) *cli.Command {
	return &cli.Command{
		Name:  "signin",
		Usage: "let the root user of an account sign in to the console",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "account", Usage: "of this account, by number or `NAME`", Required: true},
			&cli.BoolFlag{Name: "mfa", Usage: "with MFA"},
			&cli.BoolFlag{Name: "fails", Usage: "with a wrong password"},
		},
		Action: func(c *cli.Context) error {
			return inOrganization(c, func(ctx context.Context, w *sim.World, org *orgs.Organization) error {
				a, err := org.FindAccount(c.String("account"))
				if err != nil {
					return badInput(err)
				}
				w.SignIn(string(a.ID), true, c.Bool("mfa"), !c.Bool("fails"))
				return told(s, nil, "root of %s (%s) signed in", a.ID, a.Name)
			})
		},
	}
}

// sampleConfig is an orgguard.yaml that fits a simulated organization: its
// Regions, its security account, and the OUs directly below the root as the SCP's
// targets.
func sampleConfig(spec sim.Spec) string {
	regions := spec.Regions
	if len(regions) == 0 {
		regions = []string{"us-east-1"}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nregions: [%s]\nhome_region: %s\n", strings.Join(regions, ", "), regions[0])
	var attach []string
	for _, ou := range spec.OUs {
		attach = append(attach, fmt.Sprintf("%q", ou.Name))
		for _, a := range ou.Accounts {
			if a.Name == "security" && a.ID != "" {
				fmt.Fprintf(&b, "security_account: %q\n", a.ID)
			}
		}
	}
	b.WriteString("alerts:\n  mode: central\n  email: [security@example.com]\n")
	if len(attach) > 0 && len(attach) <= 20 {
		fmt.Fprintf(&b, "scp:\n  protect-config:\n    attach: [%s]\n", strings.Join(attach, ", "))
	}
	return b.String()
}

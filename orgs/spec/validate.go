package spec

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs"
)

// The shapes of values. The schema has the same patterns, and a test compares
// them, so they are kept to what Go and ECMAScript read alike (\s they do not).
const (
	accountPattern = `^[0-9]{12}$`
	// accountRefPattern: an account number or a name; a name is told from a
	// mistyped number by having something besides digits and dashes.
	accountRefPattern = `^([0-9]{12}|[\s\S]*[^0-9-][\s\S]*)$`
	filledPattern     = `[^ \t\r\n]`
	emailPattern      = `^[^ \t\r\n@]+@[^ \t\r\n@]+\.[^ \t\r\n@.]+$`

	// rolePattern: a role's name, with its path if it has one. IAM admits more
	// characters in a path; those mean something in a policy (?, ${) or occur
	// nowhere.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-names
	rolePattern     = `^/?([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$`
	rolesPattern    = `^/?([A-Za-z0-9_+=,.@*-]+/)*[A-Za-z0-9_+=,.@*-]{1,64}$`
	exactPattern    = `^[^*]*$`
	specificPattern = `^([*/]*[^*/]){3}`

	// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
	externalIDPattern = `^[A-Za-z0-9_+=,.@:/-]{2,}$`
	actionPattern     = `^[a-z0-9-]+:[A-Za-z0-9*?]+$`

	// Slack's ids, which are not the names people see.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-chatbot-slackchannelconfiguration.html
	workspacePattern = `^[TE][0-9A-Z]{2,254}$`
	channelPattern   = `^[CG][0-9A-Z]{2,254}$`

	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
	bucketPattern = `^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`
	// prefixPattern: characters that are safe in keys of S3, and in policies.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
	prefixPattern = `^([A-Za-z0-9!_.'()-]+/){0,16}$`

	// Those of Microsoft Teams: the channel's is as its link has it.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-chatbot-microsoftteamschannelconfiguration.html
	guidPattern         = `^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`
	teamsChannelPattern = `^[A-Za-z0-9%._=-]{1,256}$`

	// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackSetOperationPreferences.html
	tolerancePattern  = `^(0|[1-9][0-9]{0,5}|([0-9]|[1-9][0-9]|100)%)$`
	concurrentPattern = `^([1-9][0-9]{0,5}|([1-9]|[1-9][0-9]|100)%)$`

	// https://docs.aws.amazon.com/config/latest/APIReference/API_PutConfigurationAggregator.html
	aggregatorPattern = `^[A-Za-z0-9_-]{1,256}$`

	// What time.ParseDuration reads, without signs and in units that make sense here.
	durationPattern = `^([0-9]+(\.[0-9]+)?(h|m|s))+$`
)

const (
	maxEmail      = 254
	maxExternalID = 1224
	maxPrefix     = 512
)

var (
	accountShape      = orgs.NewPattern(accountPattern)
	aggregatorShape   = orgs.NewPattern(aggregatorPattern)
	accountRefShape   = orgs.NewPattern(accountRefPattern)
	filledShape       = orgs.NewPattern(filledPattern)
	emailShape        = orgs.NewPattern(emailPattern)
	roleShape         = orgs.NewPattern(rolePattern)
	rolesShape        = orgs.NewPattern(rolesPattern)
	exactShape        = orgs.NewPattern(exactPattern)
	specificShape     = orgs.NewPattern(specificPattern)
	externalIDShape   = orgs.NewPattern(externalIDPattern)
	actionShape       = orgs.NewPattern(actionPattern)
	workspaceShape    = orgs.NewPattern(workspacePattern)
	guidShape         = orgs.NewPattern(guidPattern)
	teamsChannelShape = orgs.NewPattern(teamsChannelPattern)
	channelShape      = orgs.NewPattern(channelPattern)
	bucketShape       = orgs.NewPattern(bucketPattern)
	prefixShape       = orgs.NewPattern(prefixPattern)
	toleranceShape    = orgs.NewPattern(tolerancePattern)
	durationShape     = orgs.NewPattern(durationPattern)
	concurrentShape   = orgs.NewPattern(concurrentPattern)
)

// checker checks a decoded configuration and finds the places in its file.
type checker struct {
	*decoder
	root  *yaml.Node
	known Known
}

// says reports whether the file has the path.
func (c *checker) says(path string) bool {
	_, ok := lookup(c.root, path)
	return ok
}

// problem reports a problem at the path or, where the file does not have it, at
// what is around it.
func (c *checker) problem(path, format string, args ...any) {
	c.report(c.root, path, fmt.Sprintf(format, args...))
}

// required reports a missing or blank text.
func (c *checker) required(path, key, value string) {
	switch at := path + "." + key; {
	case !c.says(at):
		c.problem(at, "%s is missing", key)
	case !filledShape.MatchString(value):
		c.problem(at, "%s is empty", key)
	}
}

// accountOrOU reports an entry that does not name exactly one of the two.
func (c *checker) accountOrOU(path, account, ou string, names ...string) {
	hasAccount, hasOU := c.says(path+".account"), c.says(path+".ou")
	switch {
	case hasAccount && hasOU:
		c.problem(path, "account and ou are both given; want exactly one of them")
	case !hasAccount && !hasOU:
		c.problem(path, "account or ou is missing; want exactly one of them")
	}
	if hasAccount && !slices.Contains(names, account) {
		c.required(path, "account", account)
		if account != "" && !accountRefShape.MatchString(account) {
			c.problem(path+".account", "%s is neither an account number (12 digits) nor a name", quote(account))
		}
	}
	if hasOU {
		c.required(path, "ou", ou)
	}
}

// each checks the items of a list: none may be blank or be there twice.
func (c *checker) each(path string, list []string, check func(path, item string)) {
	seen := make(map[string]bool, len(list))
	for i, item := range list {
		if c.full() {
			return
		}
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case !filledShape.MatchString(item):
			c.problem(at, "an item is empty")
		case seen[item]:
			c.problem(at, "%s is here twice", quote(item))
		case check != nil:
			check(at, item)
		}
		seen[item] = true
	}
}

func (c *Config) validate(v *checker) {
	switch {
	case !v.says("version"):
		v.problem("version", "version is missing; write version: 1")
	case c.Version != 1:
		v.problem("version", "unknown version %d; this orgguard reads version 1", c.Version)
	}
	c.Organization.validate(v, "organization")
	c.validateRegions(v)
	if c.SecurityAccount != "" && !accountShape.MatchString(c.SecurityAccount) {
		v.problem("security_account", "%s is not an account number; want 12 digits", quote(c.SecurityAccount))
	}
	c.Alerts.validate(v, "alerts")
	v.controls("baseline", c.Baseline, nil)
	for i := range c.Overrides {
		if v.full() {
			return
		}
		c.Overrides[i].validate(v, fmt.Sprintf("overrides[%d]", i), c)
	}
	c.SCP.ProtectConfig.validate(v, "scp.protect-config")
	c.Rollout.validate(v, "rollout")
	c.Journal.validate(v, "journal")
	c.Notices.validate(v, "notices")
	c.Schedule.validate(v, "schedule")
	c.Audit.Aggregator.validate(v, "audit.aggregator")
	for i := range c.Audit.Exemptions {
		if v.full() {
			return
		}
		c.Audit.Exemptions[i].validate(v, fmt.Sprintf("audit.exemptions[%d]", i))
	}
}

func (o *Organization) validate(v *checker, path string) {
	v.role(path+".access_role", o.AccessRole, roleShape)
	if o.AuditRole != "" {
		v.role(path+".audit_role", o.AuditRole, roleShape)
	}
	if id := o.ExternalID; id != "" && (len(id) > maxExternalID || !externalIDShape.MatchString(id)) {
		v.problem(path+".external_id", "%s is not an external id; want 2 to %d of A-Z a-z 0-9 _ + = , . @ : / -", quote(id), maxExternalID)
	}
	for i, e := range o.Exclude {
		if v.full() {
			return
		}
		at := fmt.Sprintf("%s.exclude[%d]", path, i)
		v.accountOrOU(at, e.Account, e.OU)
		v.required(at, "reason", e.Reason)
	}
}

// role reports what is not the name of a role.
func (c *checker) role(path, role string, shape *orgs.Pattern) {
	switch {
	case shape.MatchString(role):
	case strings.HasPrefix(role, "arn:"):
		c.problem(path, "%s is an ARN; want the role's name, with its path if it has one", quote(role))
	default:
		c.problem(path, "%s is not a role name; want 1 to 64 of A-Z a-z 0-9 _ + = , . @ - after an optional path", quote(role))
	}
}

// partitionIDs are the partitions in whose tables Regions are looked up.
var partitionIDs = []string{"aws", "aws-cn", "aws-us-gov"}

// regions are all Regions that the file may name.
func (k Known) regions() []string {
	if k.Partition.ID != "" {
		return k.Partition.All()
	}
	var all []string
	for _, id := range partitionIDs {
		all = append(all, orgs.PartitionOf("arn:"+id+":").All()...)
	}
	return all
}

// region reports a Region that there is not, or not in the partition. Regions
// that are newer than the table are refused: a baseline that silently covers
// one Region less because of a typing error is worse than an update.
func (c *checker) region(path, region string, also ...string) bool {
	good := c.known.regions()
	if slices.Contains(good, region) || slices.Contains(also, region) {
		return true
	}
	if p := orgs.PartitionOf(region); c.known.Partition.ID != "" && p.Has(region) {
		c.problem(path, "Region %s is in partition %s; this organization is in %s", quote(region), p.ID, c.known.Partition.ID)
		return false
	}
	c.problem(path, "%s", NotOneOf("Region", region, slices.Concat(also, good)))
	return false
}

func (c *Config) validateRegions(v *checker) {
	list := c.Regions.List
	if list != nil && len(list) == 0 {
		v.problem("regions", "regions is empty; list Regions, write %s or leave the key out", allEnabled)
	}
	first := c.HomeRegion
	v.each("regions", list, func(path, region string) {
		if !v.region(path, region) {
			return
		}
		if first == "" {
			first = region
		}
		v.samePartition(path, region, first)
	})
	home := c.HomeRegion
	if home == "" || !v.region("home_region", home) {
		return
	}
	unread := slices.Contains(list, "") // reported; it may have meant this one
	if len(list) > 0 && !unread && !slices.Contains(list, home) {
		v.problem("home_region", "home_region %s is not in regions; add it there or choose one of %s", quote(home), clip(strings.Join(list, ", ")))
	}
}

func (a Aggregator) validate(v *checker, path string) {
	if a.Account != "" && !accountShape.MatchString(a.Account) {
		v.problem(path+".account", "%s is not an account number; want 12 digits", quote(a.Account))
	}
	if a.Region != "" {
		v.region(path+".region", a.Region)
	}
	if a.Name != "" && !aggregatorShape.MatchString(a.Name) {
		v.problem(path+".name", "%s is not the name of an aggregator; want 1 to 256 of A-Z a-z 0-9 _ -", quote(a.Name))
	}
}

// samePartition reports Regions of two partitions: no organization has both.
func (c *checker) samePartition(path, region, first string) {
	p, want := orgs.PartitionOf(region), orgs.PartitionOf(first)
	if want.Has(first) && p.ID != want.ID {
		c.problem(path, "Region %s is in partition %s but %s is in %s; an organization is in one partition", quote(region), p.ID, quote(first), want.ID)
	}
}

func (a *Alerts) validate(v *checker, path string) {
	if modes := []string{string(Central), string(Local)}; !slices.Contains(modes, string(a.Mode)) {
		v.problem(path+".mode", "%s", NotOneOf("mode", string(a.Mode), modes))
	}
	v.each(path+".email", a.Email, func(at, email string) {
		if len(email) > maxEmail || !emailShape.MatchString(email) {
			v.problem(at, "%s is not an email address", quote(email))
		}
	})
	a.Slack.validate(v, path+".slack")
	a.Teams.validate(v, path+".teams")
}

func (s *Slack) validate(v *checker, path string) {
	if s.WorkspaceID != "" && !workspaceShape.MatchString(s.WorkspaceID) {
		v.problem(path+".workspace_id", "%s is not a Slack workspace id; want one such as T0123ABCD", quote(s.WorkspaceID))
	}
	if s.ChannelID != "" && !channelShape.MatchString(s.ChannelID) {
		v.problem(path+".channel_id", "%s is not a Slack channel id; want one such as C0123ABCD, not the channel's name", quote(s.ChannelID))
	}
	// A value that could not be read has been reported: it is not missing.
	switch {
	case s.WorkspaceID != "" && s.ChannelID == "":
		v.problem(path+".channel_id", "channel_id is missing; Slack needs both workspace_id and channel_id")
	case s.WorkspaceID == "" && s.ChannelID != "":
		v.problem(path+".workspace_id", "workspace_id is missing; Slack needs both workspace_id and channel_id")
	}
}

func (t *Teams) validate(v *checker, path string) {
	if t.TenantID != "" && !guidShape.MatchString(t.TenantID) {
		v.problem(path+".tenant_id", "%s is not the id of a tenant; want one such as 1a2b3c4d-0000-1111-2222-333344445555", quote(t.TenantID))
	}
	if t.TeamID != "" && !guidShape.MatchString(t.TeamID) {
		v.problem(path+".team_id", "%s is not the id of a team; want one such as 1a2b3c4d-0000-1111-2222-333344445555", quote(t.TeamID))
	}
	if t.ChannelID != "" && !teamsChannelShape.MatchString(t.ChannelID) {
		v.problem(path+".channel_id", "%s is not the id of a Teams channel; want one as in the channel's link, such as 19%%3aab12cd%%40thread.tacv2", quote(t.ChannelID))
	}
	if t.TenantID+t.TeamID+t.ChannelID == "" {
		return
	}
	for _, x := range []struct{ key, id string }{{"tenant_id", t.TenantID}, {"team_id", t.TeamID}, {"channel_id", t.ChannelID}} {
		if x.id == "" {
			v.problem(path+"."+x.key, "%s is missing; Teams needs tenant_id, team_id and channel_id", x.key)
		}
	}
}

// controls checks a section of controls. It goes by the file and not by the map,
// for its order and for the place of each key. above is the section that this one
// changes; nil for the one that stands by itself.
func (c *checker) controls(path string, controls, above map[string]Control) {
	block, ok := lookup(c.root, path)
	if !ok {
		return
	}
	for k, val := range pairs(block) {
		if c.full() {
			return
		}
		if c.bad[k] {
			continue
		}
		id := k.Value
		if c.known.Controls != nil && !slices.Contains(c.known.Controls, id) {
			c.note(k, "%s", NotOneOf("control", id, c.known.Controls))
			continue
		}
		control := controls[id]
		if c.known.Settings == nil || control.node == nil {
			continue
		}
		if settings := c.known.Settings(id); settings != nil {
			c.settings(control, settings, above, id)
			continue
		}
		for key := range pairs(val) {
			if key.Value != enabledKey && !c.bad[key] {
				c.note(key, "unknown key %s: %s has no settings; write true or false", quote(key.Value), id)
			}
		}
	}
}

// settings checks a control's block: by itself, or for what it changes of the block
// above. What it leaves out may come from an override in between, so that is not
// looked at here: whoever puts the layers together decodes them once more.
func (c *checker) settings(control Control, into any, above map[string]Control, id string) {
	if above == nil {
		c.decoder.settings(control, into, func(string) bool { return true })
		return
	}
	if base := above[id]; base.node != nil {
		_ = base.Decode(into) // reported in its own place
	}
	c.decoder.settings(control, into, func(key string) bool {
		_, says := lookup(control.node.value, key)
		return key != "" && says
	})
}

func (o *Override) validate(v *checker, path string, c *Config) {
	v.accountOrOU(path, o.Account, o.OU)
	v.required(path, "reason", o.Reason)
	at := path + ".baseline"
	switch {
	case !v.says(at):
		v.problem(at, "baseline is missing; say which controls are different here")
	case len(o.Baseline) == 0:
		v.problem(at, "baseline is empty; say which controls are different here")
	}
	v.controls(at, o.Baseline, c.Baseline)
	v.once(at, c.Alerts.Mode)
}

// once reports what the organization has once and an override wants different.
func (c *checker) once(path string, mode AlertMode) {
	block, ok := lookup(c.root, path)
	if !ok || c.known.Once == nil {
		return
	}
	for k, val := range pairs(block) {
		if c.bad[k] || !slices.Contains(c.known.Controls, k.Value) {
			continue
		}
		whole, settings := c.known.Once(k.Value, mode)
		if whole {
			c.note(k, "%s is one for the whole organization and cannot differ here; say it in the baseline section", k.Value)
			continue
		}
		for key := range pairs(val) {
			if slices.Contains(settings, key.Value) && !c.bad[key] {
				c.note(key, "%s of %s is one for the whole organization and cannot differ here; say it in the baseline section", key.Value, k.Value)
			}
		}
	}
}

func (p *ProtectConfig) validate(v *checker, path string) {
	if len(p.Attach) == 0 {
		v.problem(path+".attach", "attach is empty; name roots or OUs, or write enabled: false")
	}
	v.each(path+".attach", p.Attach, nil)
	v.each(path+".exempt_roles", p.ExemptRoles, v.exempt)
	v.each(path+".break_glass_roles", p.BreakGlassRoles, v.exempt)
	v.each(path+".extra_actions", p.ExtraActions, func(at, action string) {
		if !actionShape.MatchString(action) {
			v.problem(at, "%s is not an action; want one such as config:DeleteConfigRule", quote(action))
		}
	})
}

// exempt reports a pattern of role names that is none, or that so many roles
// match that the policy would protect nothing.
func (c *checker) exempt(path, role string) {
	switch {
	case !rolesShape.MatchString(role):
		c.role(path, role, rolesShape)
	case !exactShape.MatchString(role) && !specificShape.MatchString(role):
		c.problem(path, "%s would exempt nearly every role; want at least 3 characters besides *", quote(role))
	}
}

func (r *Rollout) validate(v *checker, path string) {
	for i, wave := range r.Waves {
		if v.full() {
			return
		}
		at := fmt.Sprintf("%s.waves[%d]", path, i)
		if len(wave) == 0 {
			v.problem(at, "the wave is empty; name OUs")
		}
		v.each(at, wave, nil)
	}
	if !toleranceShape.MatchString(r.FailureTolerance) {
		v.problem(path+".failure_tolerance", "%s is no tolerance; want a number of accounts such as 3 or a share such as 5%%", quote(r.FailureTolerance))
	}
	if !concurrentShape.MatchString(r.MaxConcurrent) {
		v.problem(path+".max_concurrent", "%s is no concurrency; want a number of accounts such as 10 or a share such as 100%%, not 0", quote(r.MaxConcurrent))
	}
}

func (e *Exemption) validate(v *checker, path string) {
	v.accountOrOU(path, e.Account, e.OU, "*")
	if e.Region == "" {
		v.problem(path+".region", "region is empty")
	} else {
		v.region(path+".region", e.Region, "global", "*")
	}
	v.required(path, "control", e.Control)
	if known := slices.Concat(v.known.Controls, v.known.Elsewhere); e.Control != "" && e.Control != "*" && v.known.Controls != nil && !slices.Contains(known, e.Control) {
		v.problem(path+".control", "%s", NotOneOf("control", e.Control, slices.Concat([]string{"*"}, known)))
	}
	v.required(path, "reason", e.Reason)
	if at := path + ".until"; !v.says(at) {
		v.problem(at, "until is missing; an exemption ends, so write the last day such as 2027-03-31")
	}
}

func (j *Journal) validate(v *checker, path string) {
	if j.Bucket != "" && !bucketShape.MatchString(j.Bucket) {
		v.problem(path+".bucket", "%s is not the name of a bucket; want 3 to 63 of a-z 0-9 . -", quote(j.Bucket))
	}
	if len(j.Prefix) > maxPrefix || !prefixShape.MatchString(j.Prefix) {
		v.problem(path+".prefix", "%s is not a prefix; want names of A-Z a-z 0-9 ! _ . ' ( ) -, each with a slash after it", quote(j.Prefix))
	}
}

func (s *Schedule) validate(v *checker, path string) {
	if !slices.Contains(Intervals, s.Every) {
		v.problem(path+".every", "%s", NotOneOf("interval", s.Every, Intervals))
	}
	if !slices.Contains(Engines, s.Engine) {
		v.problem(path+".engine", "%s", NotOneOf("engine", s.Engine, Engines))
	}
}

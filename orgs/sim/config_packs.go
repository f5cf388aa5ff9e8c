package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"go.yaml.in/yaml/v3"
)

// conformancePack is a conformance pack with the rules that it made.
type conformancePack struct {
	ID    string    `json:"id"`
	Put   time.Time `json:"put"`
	Rules []string  `json:"rules"` // names, sorted
}

// Quotas of conformance packs.
// https://docs.aws.amazon.com/config/latest/developerguide/configlimits.html
const (
	maxPacks     = 50
	maxPackRules = 130
	maxPackBody  = 51_200
)

// conformsService is who a pack's rules belong to: nobody else changes them.
const conformsService = "config-conforms.amazonaws.com"

func noSuchPack(name string) error {
	return apiError("NoSuchConformancePackException", "The specified conformance pack %s does not exist.", name)
}

func packARN(c *call, name string) string {
	id := "*"
	if p := c.here().Config.Packs[name]; p != nil {
		id = p.ID
	}
	return c.arn("config", "conformance-pack/"+name+"/"+id)
}

// putConformancePack makes a pack's rules, and takes away those that an earlier
// version of it had. AWS takes its time for that; the world does it at once.
// https://docs.aws.amazon.com/config/latest/APIReference/API_PutConformancePack.html
func putConformancePack(c *call, in *configservice.PutConformancePackInput) (*configservice.PutConformancePackOutput, error) {
	s := &c.here().Config
	name, body := aws.ToString(in.ConformancePackName), aws.ToString(in.TemplateBody)
	switch {
	case body == "" || in.TemplateS3Uri != nil || in.TemplateSSMDocumentDetails != nil:
		return nil, apiError("ConformancePackTemplateValidationException", "the sandbox takes templates of conformance packs as a body only")
	case len(body) > maxPackBody:
		return nil, apiError("ValidationException", "TemplateBody has more than %d bytes", maxPackBody)
	case s.customerRecorder() == nil:
		return nil, apiError("NoAvailableConfigurationRecorderException", "Configuration Recorder is not available, please configure the configuration recorder first.")
	}
	rules, err := packRules(body)
	if err != nil {
		return nil, apiError("ConformancePackTemplateValidationException", "%v", err)
	}
	p := s.Packs[name]
	switch {
	case p == nil && len(s.Packs) >= maxPacks:
		return nil, apiError("MaxNumberOfConformancePacksExceededException", "Conformance pack limit of %d is reached.", maxPacks)
	case len(rules) > maxPackRules:
		return nil, apiError("ConformancePackTemplateValidationException", "a conformance pack has at most %d rules", maxPackRules)
	case p == nil:
		p = &conformancePack{ID: "conformance-pack-" + c.w.id(9)}
	}
	service := *c
	service.caller = Principal{Type: principalService, ARN: conformsService, Account: c.caller.Account}
	before := p.Rules
	p.Put, p.Rules = c.now, nil
	for _, r := range rules {
		// The name that a template gives, and the pack's id behind it.
		full := aws.ToString(r.ConfigRuleName) + "-" + p.ID
		r.ConfigRuleName, r.CreatedBy = &full, aws.String(conformsService)
		if _, err := putConfigRule(&service, &configservice.PutConfigRuleInput{ConfigRule: r}); err != nil {
			return nil, apiError("ConformancePackTemplateValidationException", "%v", err)
		}
		p.Rules = append(p.Rules, full)
	}
	slices.Sort(p.Rules)
	for _, old := range before {
		if !slices.Contains(p.Rules, old) {
			delete(s.Rules, old)
		}
	}
	if s.Packs == nil {
		s.Packs = map[string]*conformancePack{}
	}
	s.Packs[name] = p
	c.w.ensureLinkedRole(c, c.caller.Account, conformsService)
	return &configservice.PutConformancePackOutput{ConformancePackArn: aws.String(packARN(c, name))}, nil
}

// packRules reads the template of a conformance pack: rules, and nothing else that
// the world knows.
func packRules(body string) ([]*types.ConfigRule, error) {
	var doc struct {
		Resources map[string]struct {
			Type       string         `yaml:"Type"`
			Properties map[string]any `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(body), &doc); err != nil {
		return nil, fmt.Errorf("the template is no YAML: %w", err)
	}
	var out []*types.ConfigRule
	for _, id := range slices.Sorted(maps.Keys(doc.Resources)) {
		r := doc.Resources[id]
		if r.Type != "AWS::Config::ConfigRule" {
			return nil, fmt.Errorf("%s is a %s", id, r.Type)
		}
		rule, err := configRuleOf(r.Properties)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		out = append(out, rule)
	}
	if len(out) == 0 {
		return nil, errors.New("the template has no rules")
	}
	return out, nil
}

// packsNamed are the names of packs that are asked for, all when none is.
func (c *call) packsNamed(names []string) ([]string, error) {
	packs := c.here().Config.Packs
	for _, name := range names {
		if packs[name] == nil {
			return nil, noSuchPack(name)
		}
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(packs))
	}
	return names, nil
}

func describePacks(c *call, in *configservice.DescribeConformancePacksInput) (*configservice.DescribeConformancePacksOutput, error) {
	names, err := c.packsNamed(in.ConformancePackNames)
	if err != nil {
		return nil, err
	}
	out := &configservice.DescribeConformancePacksOutput{ConformancePackDetails: []types.ConformancePackDetail{}}
	for _, name := range names {
		p := c.here().Config.Packs[name]
		out.ConformancePackDetails = append(out.ConformancePackDetails, types.ConformancePackDetail{
			ConformancePackName: aws.String(name), ConformancePackId: aws.String(p.ID), ConformancePackArn: aws.String(packARN(c, name)), LastUpdateRequestedTime: aws.Time(p.Put),
		})
	}
	return out, nil
}

func describePackStatus(c *call, in *configservice.DescribeConformancePackStatusInput) (*configservice.DescribeConformancePackStatusOutput, error) {
	names, err := c.packsNamed(in.ConformancePackNames)
	if err != nil {
		return nil, err
	}
	out := &configservice.DescribeConformancePackStatusOutput{ConformancePackStatusDetails: []types.ConformancePackStatusDetail{}}
	for _, name := range names {
		p := c.here().Config.Packs[name]
		out.ConformancePackStatusDetails = append(out.ConformancePackStatusDetails, types.ConformancePackStatusDetail{
			ConformancePackName: aws.String(name), ConformancePackId: aws.String(p.ID), ConformancePackArn: aws.String(packARN(c, name)),
			ConformancePackState: types.ConformancePackStateCreateComplete, LastUpdateRequestedTime: aws.Time(p.Put), LastUpdateCompletedTime: aws.Time(p.Put),
			StackArn: aws.String(c.arn("cloudformation", "stack/awsconfigconforms-"+name+"-"+p.ID+"/"+p.ID)),
		})
	}
	return out, nil
}

// describePackCompliance gives the rules of a pack, a page at a time, and whether
// all that they looked at complies.
// https://docs.aws.amazon.com/config/latest/APIReference/API_DescribeConformancePackCompliance.html
func describePackCompliance(c *call, in *configservice.DescribeConformancePackComplianceInput) (*configservice.DescribeConformancePackComplianceOutput, error) {
	s, name := &c.here().Config, aws.ToString(in.ConformancePackName)
	p := s.Packs[name]
	if p == nil {
		return nil, noSuchPack(name)
	}
	limit := 10
	if in.Limit > 0 {
		limit = int(in.Limit)
	}
	page, next, ok := pageOf(c, p.Rules, limit, in.NextToken)
	if !ok {
		return nil, invalidConfigToken()
	}
	out := &configservice.DescribeConformancePackComplianceOutput{ConformancePackName: &name, NextToken: next, ConformancePackRuleComplianceList: []types.ConformancePackRuleCompliance{}}
	for _, rule := range page {
		is := types.ConformancePackComplianceTypeInsufficientData
		for _, verdict := range s.Rules[rule].Results {
			if verdict == types.ComplianceTypeNonCompliant {
				is = types.ConformancePackComplianceTypeNonCompliant
				break
			}
			is = types.ConformancePackComplianceTypeCompliant
		}
		out.ConformancePackRuleComplianceList = append(out.ConformancePackRuleComplianceList, types.ConformancePackRuleCompliance{ConfigRuleName: aws.String(rule), ComplianceType: is})
	}
	return out, nil
}

func deleteConformancePack(c *call, in *configservice.DeleteConformancePackInput) (*configservice.DeleteConformancePackOutput, error) {
	s, name := &c.here().Config, aws.ToString(in.ConformancePackName)
	p := s.Packs[name]
	if p == nil {
		return nil, noSuchPack(name)
	}
	for _, rule := range p.Rules {
		delete(s.Rules, rule)
	}
	delete(s.Packs, name)
	return &configservice.DeleteConformancePackOutput{}, nil
}

// ofAPack refuses what is done to a rule that a conformance pack made.
func (r *configRule) ofAPack(c *call) error {
	if r == nil || aws.ToString(r.Rule.CreatedBy) != conformsService || c.caller.Type == principalService {
		return nil
	}
	return apiError("AccessDeniedException", "The rule '%s' is a service-linked rule of a conformance pack. Change the conformance pack instead.", aws.ToString(r.Rule.ConfigRuleName))
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-config-conformancepack.html
var cfnConformancePack = resourceType{
	name: "ConformancePackName", nameLength: 51,
	properties: []string{"ConformancePackInputParameters", "DeliveryS3Bucket", "DeliveryS3KeyPrefix", "TemplateBody", "TemplateS3Uri", "TemplateSSMDocumentDetails"},
	replace:    []string{"ConformancePackName"},
	create: func(p *provision) error {
		name := p.generateName()
		_, err := perform[configservice.DescribeConformancePackStatusOutput](p, "Config Service", "DescribeConformancePackStatus", &configservice.DescribeConformancePackStatusInput{ConformancePackNames: []string{name}})
		if err == nil {
			return p.alreadyExists(name)
		}
		if !hasCode(err, "NoSuchConformancePackException") {
			return err
		}
		if err := try(p, "Config Service", "PutConformancePack", &configservice.PutConformancePackInput{ConformancePackName: &name, TemplateBody: p.props.opt("TemplateBody")}); err != nil {
			return err
		}
		p.res.Physical = name
		return nil
	},
	update: func(p *provision) error {
		return try(p, "Config Service", "PutConformancePack", &configservice.PutConformancePackInput{ConformancePackName: &p.res.Physical, TemplateBody: p.props.opt("TemplateBody")})
	},
	delete: func(p *provision) error {
		err := try(p, "Config Service", "DeleteConformancePack", &configservice.DeleteConformancePackInput{ConformancePackName: &p.res.Physical})
		return ignore(err, "NoSuchConformancePackException")
	},
}

package sim

import (
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

var cfnStateMachine = resourceType{
	name: "StateMachineName", nameLength: 80,
	required:   []string{"RoleArn"},
	properties: []string{"Definition", "DefinitionString", "DefinitionSubstitutions", "EncryptionConfiguration", "LoggingConfiguration", "StateMachineType", "TracingConfiguration"},
	replace:    []string{"StateMachineName", "StateMachineType"},
	attrs:      []string{"Arn", "Name", "StateMachineRevisionId"},
	tagged:     true,
	create:     createCFNStateMachine,
	update:     updateCFNStateMachine,
	delete: func(p *provision) error {
		err := try(p, "SFN", "DeleteStateMachine", &sfn.DeleteStateMachineInput{StateMachineArn: &p.res.Physical})
		return ignore(err, "StateMachineDoesNotExist")
	},
	read: func(p *provision) (map[string]any, error) {
		out, err := perform[sfn.DescribeStateMachineOutput](p, "SFN", "DescribeStateMachine", &sfn.DescribeStateMachineInput{StateMachineArn: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		live := map[string]any{"RoleArn": aws.ToString(out.RoleArn), "StateMachineType": string(out.Type)}
		// The template's definition counts after its substitutions.
		if !sameProperty(stateDefinition(p.props), aws.ToString(out.Definition)) {
			live["Definition"], live["DefinitionString"] = "", ""
		}
		return live, nil
	},
}

var substitution = regexp.MustCompile(`\$\{([A-Za-z0-9_-]+)\}`)

// stateDefinition is the machine's definition with DefinitionSubstitutions put in.
func stateDefinition(p props) string {
	text := p.text("DefinitionString")
	if p.has("Definition") {
		text = p.document("Definition")
	}
	values := p.obj("DefinitionSubstitutions")
	return substitution.ReplaceAllStringFunc(text, func(found string) string {
		if v, ok := values[found[2:len(found)-1]]; ok {
			return scalarText(v)
		}
		return found
	})
}

func stateTags(tags map[string]string) []types.Tag {
	return tagsOf(tags, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} })
}

func createCFNStateMachine(p *provision) error {
	name := p.generateName()
	in := &sfn.CreateStateMachineInput{
		Name: &name, Definition: aws.String(stateDefinition(p.props)), RoleArn: p.props.opt("RoleArn"),
		Type: types.StateMachineType(p.props.text("StateMachineType")), Tags: stateTags(p.tags()),
	}
	if err := bindMachine(p, &in.LoggingConfiguration, &in.TracingConfiguration); err != nil {
		return err
	}
	out, err := perform[sfn.CreateStateMachineOutput](p, "SFN", "CreateStateMachine", in)
	if err != nil {
		return err
	}
	p.res.Physical = aws.ToString(out.StateMachineArn)
	p.set("Arn", p.res.Physical)
	p.set("Name", name)
	p.set("StateMachineRevisionId", "INITIAL")
	return nil
}

func bindMachine(p *provision, logging **types.LoggingConfiguration, tracing **types.TracingConfiguration) error {
	if err := bind(p.props["LoggingConfiguration"], logging); err != nil {
		return err
	}
	return bind(p.props["TracingConfiguration"], tracing)
}

func updateCFNStateMachine(p *provision) error {
	in := &sfn.UpdateStateMachineInput{StateMachineArn: &p.res.Physical, Definition: aws.String(stateDefinition(p.props)), RoleArn: p.props.opt("RoleArn")}
	if err := bindMachine(p, &in.LoggingConfiguration, &in.TracingConfiguration); err != nil {
		return err
	}
	out, err := perform[sfn.UpdateStateMachineOutput](p, "SFN", "UpdateStateMachine", in)
	if err != nil {
		return err
	}
	p.set("StateMachineRevisionId", aws.ToString(out.RevisionId))
	if gone := p.goneTags(); len(gone) > 0 {
		if err := try(p, "SFN", "UntagResource", &sfn.UntagResourceInput{ResourceArn: &p.res.Physical, TagKeys: gone}); err != nil {
			return err
		}
	}
	return try(p, "SFN", "TagResource", &sfn.TagResourceInput{ResourceArn: &p.res.Physical, Tags: stateTags(p.tags())})
}

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/baseline/schedule"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
)

// tellStatements are the rights that telling the configured channels takes: on what the
// configuration names, and nothing else.
func tellStatements(cfg *spec.Config) []policyStatement {
	n, home := cfg.Notices, cmp.Or(cfg.HomeRegion, "*") // the Region of whoever runs it
	partition := orgs.PartitionOf(cfg.HomeRegion)
	var out []policyStatement
	allow := func(sid string, actions []string, resources ...string) {
		out = append(out, policyStatement{Sid: sid, Effect: "Allow", Action: actions, Resource: resources})
	}
	var topics []string
	for _, arn := range []string{n.MailTopic, n.ChatTopic} {
		if arn != "" {
			topics = append(topics, arn)
		}
	}
	if len(topics) > 0 {
		allow("TellTopics", []string{"sns:Publish"}, topics...)
		// For topics with a key of their own; the key has to admit the caller as well.
		// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
		keys := map[string]bool{}
		for _, arn := range topics {
			p := strings.Split(arn, ":")
			keys["arn:"+p[1]+":kms:"+p[3]+":"+p[4]+":key/*"] = true
		}
		allow("EncryptForTopics", []string{"kms:Decrypt", "kms:GenerateDataKey"}, sortedKeys(keys)...)
		out[len(out)-1].Condition = map[string]map[string]string{"StringLike": {"kms:ViaService": "sns.*"}}
	}
	out = append(out, secretStatements(cfg)...)
	if n.SecurityHub {
		allow("KeepFindings", []string{"securityhub:BatchImportFindings"}, "arn:"+partition.ID+":securityhub:"+home+":*:product/*/default")
	}
	if bus := n.EventBus; bus != "" {
		if !strings.HasPrefix(bus, "arn:") {
			bus = "arn:" + partition.ID + ":events:" + home + ":*:event-bus/" + bus
		}
		allow("TellEventBus", []string{"events:PutEvents"}, bus)
	}
	return out
}

// secretStatements are the rights to read where the addresses and keys of webhooks are.
func secretStatements(cfg *spec.Config) []policyStatement {
	partition, home := orgs.PartitionOf(cfg.HomeRegion), cmp.Or(cfg.HomeRegion, "*") // the Region of whoever runs it
	var parameters, secrets []string
	for _, w := range cfg.Notices.Webhooks {
		for _, source := range []string{w.URLFrom, w.SecretFrom} {
			name := secretParameter(source)
			if name == "" {
				continue
			}
			parameters = append(parameters, "arn:"+partition.ID+":ssm:"+home+":*:parameter/"+strings.TrimPrefix(name, "/"))
			if secret, ok := strings.CutPrefix(source, "secretsmanager:"); ok {
				// The service adds a hyphen and six characters to a secret's name.
				secrets = append(secrets, "arn:"+partition.ID+":secretsmanager:"+home+":*:secret:"+secret+"-??????")
			}
		}
	}
	var out []policyStatement
	if len(parameters) > 0 {
		out = append(out, policyStatement{Sid: "ReadWebhookSecrets", Effect: "Allow", Action: []string{"ssm:GetParameter"}, Resource: sorted(parameters)})
	}
	if len(secrets) > 0 {
		out = append(out, policyStatement{Sid: "ReadSecretsManager", Effect: "Allow", Action: []string{"secretsmanager:GetSecretValue"}, Resource: sorted(secrets)})
	}
	return out
}

// lookRights narrows the doctor's rights to what it looks at with a configuration. Secrets
// are read by the caller alone, and only those that it names.
func (g grant) lookRights(cfg *spec.Config) grant {
	rest := slices.Clone(readSecrets)
	if !cfg.Notices.SecurityHub {
		rest = append(rest, "securityhub:GetEnabledStandards")
	}
	if !slices.ContainsFunc(cfg.Notices.Webhooks, func(w spec.Webhook) bool {
		return strings.HasPrefix(w.URLFrom, "ssm:") || strings.HasPrefix(w.SecretFrom, "ssm:")
	}) {
		rest = append(rest, "ssm:DescribeParameters")
	}
	unused := func(a string) bool { return slices.Contains(rest, a) }
	g.caller, g.member = slices.DeleteFunc(slices.Clone(g.caller), unused), slices.DeleteFunc(slices.Clone(g.member), unused)
	g.told = secretStatements(cfg)
	return g
}

// notifyRights are the same rights for a job that an engine runs. A function has no secret
// in its environment, where everybody who may look at it could read it.
func notifyRights(cfg *spec.Config, target string) ([]schedule.Right, error) {
	function := schedule.IsFunction(target)
	for _, w := range cfg.Notices.Webhooks {
		if function && (strings.HasPrefix(w.URLFrom, "env:") || strings.HasPrefix(w.SecretFrom, "env:")) {
			return nil, &orgs.Hinted{Err: fmt.Errorf("notices: the webhook %s has a secret in the environment, and a function shows its own to everybody who may look at it", w.Name), Next: "put it into Parameter Store or Secrets Manager: ssm:NAME or secretsmanager:NAME"}
		}
	}
	var out []schedule.Right
	for _, st := range tellStatements(cfg) {
		r := schedule.Right{Sid: st.Sid, Actions: st.Action, ViaService: st.Condition["StringLike"]["kms:ViaService"]}
		r.Resources, _ = st.Resource.([]string)
		out = append(out, r)
	}
	return out, nil
}

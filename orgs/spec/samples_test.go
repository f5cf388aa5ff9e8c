package spec

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample is a file with its problems, as the decoder and the schema see it.
type sample struct {
	name string
	text string // version: 1 is put before it unless it begins with "!"
	want string // the problems without the file's name, one a line; "" for a good file
	// silent: the schema cannot say this, and accepts the file.
	silent bool
	// unread: not YAML as the schema's reader understands it.
	unread bool
}

func (s sample) data() []byte {
	if raw, ok := strings.CutPrefix(s.text, "!"); ok {
		return []byte(raw)
	}
	return []byte("version: 1\n" + s.text + "\n")
}

var allRegions = strings.Join(Known{}.regions(), ", ")

var samples = []sample{
	// Good ones.
	{name: "only the version"},
	{name: "document markers and comments", text: "!# c\n---\nversion: 1\n...\n"},
	{name: "byte order mark", text: "!\ufeffversion: 1\n"},
	{name: "CRLF", text: "!version: 1\r\nhome_region: us-east-1\r\n"},
	{name: "all-enabled", text: "regions: all-enabled\nhome_region: eu-west-1"},
	{name: "China", text: "regions: [cn-north-1, cn-northwest-1]"},
	{name: "empty strings stand for the default", text: "organization: {external_id: ''}\nhome_region: ''\nsecurity_account: ''\nalerts: {slack: {workspace_id: '', channel_id: ''}}"},
	{name: "accounts by name", text: "organization: {exclude: [{account: Sandbox 7, reason: r}]}"},
	{name: "dates with quotes", text: `audit: {exemptions: [{ou: Dev, region: global, control: "*", reason: r, until: "2027-03-31"}]}`},
	{name: "empty lists where nothing is a choice", text: "organization: {exclude: []}\nalerts: {email: []}\nscp: {protect-config: {exempt_roles: []}}\nrollout: {waves: []}\naudit: {exemptions: []}\nbaseline: {}"},
	{name: "roles", text: "organization: {access_role: team/Guard}\nscp: {protect-config: {exempt_roles: [CI, Admin*, '*-admin', /a/b/c, aws-reserved/sso.amazonaws.com/*]}}"},
	{name: "limits as numbers", text: "rollout: {failure_tolerance: 3, max_concurrent: 10%}"},
	{name: "controls", text: "baseline: {alert-topic: {enabled: false}, config-recorder: {recording: daily}, config-delivery: true}"},
	{name: "a missing setting of a control that is off", text: "baseline: {chat-alert: {enabled: false}}"},

	{name: "notices", text: `notices:
  language: ja
  mail_topic: arn:aws:sns:us-east-1:222222222222:a
  chat_topic: arn:aws-cn:sns:cn-north-1:222222222222:b
  webhooks: [{name: a, url: "https://example.com/x?y=1"}, {name: b-1, url_from: "env:HOOK", secret_from: "ssm:/a/b"}, {name: c, url: "http://127.0.0.1:80/", secret_from: "secretsmanager:a/b"}]
  security_hub: true
  event_bus: default
  per_hour: 60
  report_url: "https://example.com/{run}"
  templates: {subject: "", mail: "{{.Run}}"}`},
	{name: "notices to nobody", text: "notices: {mail_topic: '', chat_topic: '', event_bus: '', report_url: '', webhooks: [], security_hub: false}"},
	{name: "notices that are none", text: `notices:
  language: de
  mail_topic: orgguard-alerts
  chat_topic: arn:aws:sns:us-east-1:222222222222:a.fifo
  event_bus: a b
  per_hour: 0
  report_url: http://example.com
  webhooks:
    - {name: A, url: "http://example.com"}
    - {url: "https://user:pass@example.com/", secret_from: hunter2}
    - {name: c}
    - {name: d, url: "https://a", url_from: "env:A"}`, want: `3:13: unknown language "de"; did you mean "en" or "ja"? (good: en, ja)
4:15: "orgguard-alerts" is not the ARN of a standard topic; want one such as arn:aws:sns:us-east-1:222222222222:orgguard-alerts
5:15: "arn:aws:sns:us-east-1:222222222222:a.fifo" is not the ARN of a standard topic; want one such as arn:aws:sns:us-east-1:222222222222:orgguard-alerts
6:14: "a b" is neither the name nor the ARN of an event bus; default is the account's own
7:13: 0 messages an hour: want 1 to 60
8:15: "http://example.com" is not an address that begins with https://
10:14: "A" is not a name; want up to 32 of a-z 0-9 -
10:22: url is not an address that begins with https:// and a host (or http://127.0.0.1), without a user and a password
11:7: name is missing; the record of what was sent goes by it
11:13: url is not an address that begins with https:// and a host (or http://127.0.0.1), without a user and a password
11:60: secret_from does not name a source (it begins with "hunt…"); want env:NAME, ssm:PARAMETER or secretsmanager:SECRET, and never the secret itself
12:7: url or url_from is missing; want exactly one of them
13:7: url and url_from are both given; want exactly one of them`},
	{name: "what the schema cannot say of notices", silent: true, text: `notices:
  mail_topic: arn:aws:sns:us-east-1:222222222222:a
  chat_topic: arn:aws:sns:us-east-1:222222222222:a
  webhooks: [{name: a, url: "https://a"}, {name: a, url: "https://b"}]
  templates: {mail: bad}`, want: `4:15: chat_topic is mail_topic; mail would show what is written for the chat service, which in turn drops mail's text
5:50: there are two webhooks called "a"
6:21: mail: it is bad`},

	// Text that is no configuration.
	{name: "empty file", text: "!", want: "1:1: version is missing; write version: 1"},
	{name: "only comments", text: "!# nothing\n", want: "1:1: version is missing; write version: 1"},
	{name: "a list", text: "![1]\n", want: "1:1: want a mapping, found a list"},
	{name: "a word", text: "!orgguard\n", want: `1:1: want a mapping, found the string "orgguard"`},
	{name: "two documents", text: "!version: 1\n---\nversion: 1\n", want: "2:1: a second YAML document begins here; want one document", unread: true},
	{name: "garbage after the document", text: "!version: 1\n...\n]\n", want: "3: not valid YAML: did not find expected <document start>", unread: true},
	{name: "NUL", text: "!version: 1\nalerts: \x00\n", want: "2:9: character U+0000 does not belong in a text file", unread: true},
	{name: "escape character in a comment", text: "!version: 1 # \x1b[2J\n", want: "1:14: character U+001B does not belong in a text file", unread: true},
	{name: "not UTF-8", text: "!version: 1\nhome_région: \xff\n", want: "2:14: byte 0xff is not UTF-8; save the file as UTF-8", unread: true},
	{name: "UTF-16", text: "!\xff\xfev\x00", want: "1:1: byte 0xff is not UTF-8; save the file as UTF-8", unread: true},
	{name: "escaped control character", text: `home_region: "a\u0007"`, want: `2:14: "a\a" has a control character`},
	{name: "indented by a tab", text: "alerts:\n\tmode: local", want: "3: not valid YAML: found character that cannot start any token; indent with spaces, not tabs", unread: true},
	{name: "unclosed list", text: "\n\nregions: [us-east-1\nhome_region: us-east-1", want: "4: not valid YAML: did not find expected ',' or ']'", unread: true},
	{name: "unclosed list in the first line", text: "!regions: [us-east-1\nversion: 1\n", want: "2: not valid YAML: did not find expected ',' or ']'", unread: true},
	{name: "unclosed quote", text: "alerts:\n  mode: \"central\nrollout: {}\n", want: "3: not valid YAML: found unexpected end of stream", unread: true},
	{name: "wrong indentation", text: "!# c\n\nversion: 1\nalerts:\n  mode: local\n email: []\n", want: "6: not valid YAML: did not find expected key", unread: true},
	{name: "colon in a value", text: "organization:\n  access_role: a: b", want: "3: not valid YAML: mapping values are not allowed in this context", unread: true},
	{name: "a bare star", text: "audit: {exemptions: [{account: *, control: x}]}", want: `2: not valid YAML: did not find expected alphabetic or numeric character; a value that begins with * or & needs quotes, as in "*"`, unread: true},
	{name: "a star before a name", text: "# *-admin\nscp: {protect-config: {exempt_roles: [*-admin]}}", want: `3:39: YAML aliases are not supported; if "*-admin" is meant as text, put it in quotes`, unread: true},

	// YAML that is refused.
	{name: "anchors and aliases", text: "home_region: &r us-east-1\nregions: [*r]", silent: true, want: `2:14: YAML anchors are not supported; if "&r" is meant as text, put it in quotes
3:11: YAML aliases are not supported; if "*r" is meant as text, put it in quotes`},
	{name: "merge keys", text: "alerts: {<<: {mode: local}}", want: `2:10: YAML merge keys (<<) are not supported; write the keys out`},
	{name: "tags", text: "home_region: !!str us-east-1\nalerts: !x {mode: 5}", want: `2:14: YAML tags are not supported; found "!!str"
3:9: YAML tags are not supported; found "!x"`},
	{name: "duplicate keys at any depth", text: "alerts:\n  mode: local\n  mode: 7\nbaseline: {nope: {a: 1, a: 2}}", unread: true, want: `4:3: key "mode" is here twice; it is in line 3 already
5:12: unknown control "nope" (good: alert-topic, config-change-alert, config-delivery, config-recorder, root-signin-alert, chat-alert)
5:25: key "a" is here twice; it is in line 5 already`},
	{name: "keys that are no words", text: "? [a]\n: 1", want: "2:3: want a word as key, found a list", unread: true},
	{name: "nested too deep", text: "baseline: {x: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}", want: `2:12: unknown control "x" (good: alert-topic, config-change-alert, config-delivery, config-recorder, root-signin-alert, chat-alert)
2:15: baseline.x: want true, false or a mapping of its settings, found a list
2:46: nested more than 32 deep`},

	// Keys and types.
	{name: "unknown keys", text: "region: [us-east-1]\nalerts: {modes: local}\n7: x", want: `2:1: unknown key "region"; did you mean "regions", "home_region" or "version"?
3:10: unknown key "modes"; did you mean "mode"? (good: mode, email, slack, teams)
4:1: unknown key "7" (good: version, organization, regions, home_region, security_account, alerts, baseline, overrides, scp, rollout, audit, journal, notices, schedule)`},
	{name: "account number without quotes", text: "security_account: 222222222222\norganization: {exclude: [{account: 012345678901, reason: x}]}", want: `2:19: security_account: want a string, found the number 222222222222; put it in quotes
3:36: organization.exclude[0].account: want a string, found the number 012345678901; put it in quotes`},
	{name: "a word instead of a list", text: "alerts: {email: a@example.com}", want: `2:17: alerts.email: want a list, found the string "a@example.com"; put it in [ ]`},
	{name: "keys without a value", text: "alerts:\nhome_region:\nscp: {protect-config: {strict: }}\nrollout: {waves: [null]}\nbaseline: {alert-topic: }", want: `2:8: alerts: want a mapping, found nothing; write a value or leave the key out
3:13: home_region: want a string, found nothing; write a value or leave the key out
4:32: scp.protect-config.strict: want true or false, found nothing; write a value or leave the key out
5:19: rollout.waves[0]: want a list, found nothing; write a value or leave the key out
6:25: baseline.alert-topic: want true, false or a mapping of its settings, found nothing`},
	{name: "yes is not true", text: "scp: {protect-config: {enabled: yes, strict: 1}}\nbaseline: {alert-topic: on, config-delivery: {enabled: off}}", want: `2:33: scp.protect-config.enabled: want true or false, found the string "yes"
2:46: scp.protect-config.strict: want true or false, found the number 1
3:25: baseline.alert-topic: want true, false or a mapping of its settings, found the string "on"
3:56: baseline.config-delivery.enabled: want true or false, found the string "off"`},
	{name: "maps and lists in the wrong place", text: "organization: [x]\nrollout: {failure_tolerance: [1], waves: [root]}\nbaseline: [config-recorder]\naudit: {exemptions: {}}", want: `2:15: organization: want a mapping, found a list
3:30: rollout.failure_tolerance: want a string, found a list
3:43: rollout.waves[0]: want a list, found the string "root"; put it in [ ]
4:11: baseline: want a mapping, found a list
5:21: audit.exemptions: want a list, found a mapping`},

	// Versions.
	{name: "no version", text: "!home_region: us-east-1\n", want: "1:1: version is missing; write version: 1"},
	{name: "another version", text: "!version: 2\n", want: "1:10: unknown version 2; this orgguard reads version 1"},
	{name: "version as text", text: "!version: \"1\"\n", want: `1:10: version: want a whole number, found the string "1"`},
	{name: "octal and enormous versions", text: "!version: 010\n", want: `1:10: version: want a whole number, found the number 010`},
	{name: "enormous version", text: "!version: 18446744073709551615\n", want: `1:10: version: 18446744073709551615 is out of range`},

	// Organization.
	{name: "access role", text: "organization: {access_role: ''}", want: `2:29: "" is not a role name; want 1 to 64 of A-Z a-z 0-9 _ + = , . @ - after an optional path`},
	{name: "access role as an ARN", text: "organization: {access_role: 'arn:aws:iam::222222222222:role/x'}", want: `2:29: "arn:aws:iam::222222222222:role/x" is an ARN; want the role's name, with its path if it has one`},
	{name: "access role with a star", text: "organization: {access_role: Admin*}", want: `2:29: "Admin*" is not a role name; want 1 to 64 of A-Z a-z 0-9 _ + = , . @ - after an optional path`},
	{name: "external id", text: "organization: {external_id: x}", want: `2:29: "x" is not an external id; want 2 to 1224 of A-Z a-z 0-9 _ + = , . @ : / -`},
	{name: "exclusions", text: `organization:
  exclude:
    - {account: "111111111111", ou: Dev, reason: x}
    - {reason: x}
    - {account: "1111-1111-1111", reason: "  "}
    - {account: "", ou: "", resaon: x}
    - {ou: Dev}
    - 5`, want: `4:7: account and ou are both given; want exactly one of them
5:7: account or ou is missing; want exactly one of them
6:17: "1111-1111-1111" is neither an account number (12 digits) nor a name
6:43: reason is empty
7:7: account and ou are both given; want exactly one of them
7:7: reason is missing
7:17: account is empty
7:25: ou is empty
7:29: unknown key "resaon"; did you mean "reason"? (good: account, ou, reason)
8:7: reason is missing
9:7: organization.exclude[5]: want a mapping, found the number 5`},

	// Regions.
	{name: "unknown Region", text: "regions: [us-east-1, us-est-2]", want: `2:22: unknown Region "us-est-2"; did you mean "us-east-2", "us-west-2" or "us-east-1"?`},
	{name: "Regions twice", text: "regions: [us-east-1, us-west-2, us-east-1]", want: `2:33: "us-east-1" is here twice`},
	{name: "no Regions", text: "regions: []", want: "2:10: regions is empty; list Regions, write all-enabled or leave the key out"},
	{name: "a Region that is no list", text: "regions: us-east-1", want: `2:10: regions: want a list of Regions such as [us-east-1], or all-enabled, found the string "us-east-1"`},
	{name: "Regions of other types", text: "regions: [1, '']", want: `2:11: regions[0]: want a string, found the number 1; put it in quotes
2:14: an item is empty`},
	{name: "two partitions", text: "regions: [us-east-1, cn-north-1]", silent: true, want: `2:22: Region "cn-north-1" is in partition aws-cn but "us-east-1" is in aws; an organization is in one partition`},
	{name: "home Region elsewhere", text: "regions: [us-east-1, us-east-2]\nhome_region: us-west-2", silent: true, want: `3:14: home_region "us-west-2" is not in regions; add it there or choose one of us-east-1, us-east-2`},
	{name: "unknown home Region", text: "home_region: eu-central-3", want: `2:14: unknown Region "eu-central-3"; did you mean "eu-central-1", "eu-central-2" or "ca-central-1"?`},
	{name: "security account", text: "security_account: '22222222222'", want: `2:19: "22222222222" is not an account number; want 12 digits`},

	// Alerts.
	{name: "alerts", text: "alerts:\n  mode: centrl\n  email: [security, a@b@example.com, ok@example.com, ok@example.com]\n  slack: {workspace_id: '#alerts'}", want: `3:9: unknown mode "centrl"; did you mean "central"? (good: central, local)
4:11: "security" is not an email address
4:21: "a@b@example.com" is not an email address
4:54: "ok@example.com" is here twice
5:10: channel_id is missing; Slack needs both workspace_id and channel_id
5:25: "#alerts" is not a Slack workspace id; want one such as T0123ABCD`},
	{name: "a channel without a workspace", text: "alerts: {slack: {workspace_id: '', channel_id: alerts}}", want: `2:32: workspace_id is missing; Slack needs both workspace_id and channel_id
2:48: "alerts" is not a Slack channel id; want one such as C0123ABCD, not the channel's name`},

	{name: "a Teams channel", text: "alerts: {teams: {tenant_id: 1a2b3c4d-0000-1111-2222-333344445555, team_id: 1A2B3C4D-0000-1111-2222-333344445556, channel_id: '19%3aab12cd%40thread.tacv2'}}"},
	{name: "a Teams channel by its name", text: "alerts: {teams: {tenant_id: contoso, team_id: 1a2b3c4d-0000-1111-2222-333344445555, channel_id: '#alerts'}}", want: `2:29: "contoso" is not the id of a tenant; want one such as 1a2b3c4d-0000-1111-2222-333344445555
2:97: "#alerts" is not the id of a Teams channel; want one as in the channel's link, such as 19%3aab12cd%40thread.tacv2`},
	{name: "a Teams channel without its team", text: "alerts: {teams: {tenant_id: '', team_id: '', channel_id: 19.tacv2}}", want: `2:29: tenant_id is missing; Teams needs tenant_id, team_id and channel_id
2:42: team_id is missing; Teams needs tenant_id, team_id and channel_id`},

	// Controls, which the schema does not know.
	{name: "unknown control", text: "baseline: {config-recoder: true}", silent: true, want: `2:12: unknown control "config-recoder"; did you mean "config-recorder" or "config-delivery"? (good: alert-topic, config-change-alert, config-delivery, config-recorder, root-signin-alert, chat-alert)`},
	{name: "settings of a control without any", text: "baseline: {alert-topic: {enabled: true, color: red}}", silent: true, want: `2:41: unknown key "color": alert-topic has no settings; write true or false`},
	{name: "settings", text: "baseline:\n  config-recorder:\n    recoding: daily\n    recording: hourly\n    days: soon\n    small: 256\n    wait: 7\n    since: 2026-02-30\n    labels: {a: b}\n    rules: [{name: ''}, {nam: x}]\n  chat-alert: true", silent: true, want: `4:5: unknown key "recoding"; did you mean "recording"? (good: enabled, recording, global_types_region, days, small, wait, skip, labels, rules, since)
5:16: unknown recording "hourly" (good: continuous, daily)
6:11: days: want a whole number, found the string "soon"
7:12: small: 256 is out of range
8:11: wait: want a duration such as "90m" or "24h", found the number 7
9:12: since: want a date such as 2027-03-31, found the string "2026-02-30"
10:17: labels.a: want a whole number, found the string "b"
11:20: name is empty
11:25: name is empty
11:26: unknown key "nam"; did you mean "name"? (good: name)
12:15: topic is missing`},

	// Policies.
	{name: "attached nowhere", text: "scp: {protect-config: {attach: []}}", want: "2:32: attach is empty; name roots or OUs, or write enabled: false"},
	{name: "attached to nothing and twice", text: "scp: {protect-config: {attach: ['', root, root]}}", want: "2:33: an item is empty\n2:43: \"root\" is here twice"},
	{name: "exempt roles", text: "scp: {protect-config: {exempt_roles: ['*', '**', '*/*', 'a*', 'x y', Admin*], break_glass_roles: ['arn:aws:iam::*:role/*']}}", want: `2:39: "*" would exempt nearly every role; want at least 3 characters besides *
2:44: "**" would exempt nearly every role; want at least 3 characters besides *
2:50: "*/*" would exempt nearly every role; want at least 3 characters besides *
2:57: "a*" would exempt nearly every role; want at least 3 characters besides *
2:63: "x y" is not a role name; want 1 to 64 of A-Z a-z 0-9 _ + = , . @ - after an optional path
2:99: "arn:aws:iam::*:role/*" is an ARN; want the role's name, with its path if it has one`},
	{name: "actions", text: "scp: {protect-config: {extra_actions: ['*', DeleteConfigRule, config:DeleteConfigRule]}}", want: `2:40: "*" is not an action; want one such as config:DeleteConfigRule
2:45: "DeleteConfigRule" is not an action; want one such as config:DeleteConfigRule`},

	// Rollout.
	{name: "limits", text: "rollout: {failure_tolerance: 101%, max_concurrent: 0, waves: [[Dev], [], ['', Dev, Dev]]}", want: `2:30: "101%" is no tolerance; want a number of accounts such as 3 or a share such as 5%
2:52: "0" is no concurrency; want a number of accounts such as 10 or a share such as 100%, not 0
2:70: the wave is empty; name OUs
2:75: an item is empty
2:84: "Dev" is here twice`},
	{name: "limits of other shapes", text: "rollout: {failure_tolerance: -1, max_concurrent: 5.5}", want: `2:30: rollout.failure_tolerance: want a string, found the number -1; put it in quotes
2:50: rollout.max_concurrent: want a string, found the number 5.5; put it in quotes`},

	// Schedule.
	{name: "schedules", text: "schedule: {every: 5m, engine: lamda}", want: `2:19: unknown interval "5m"; did you mean "15m", "1d" or "1h"? (good: 15m, 20m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h, 1d, 7d)
2:31: unknown engine "lamda"; did you mean "lambda"? (good: auto, lambda, stepfunctions)`},

	// Exemptions.
	{name: "overrides", text: `overrides:
  - {ou: Dev, reason: r, baseline: {config-recorder: {recording: daily}, root-signin-alert: false}}
  - {account: Shop, reason: r, baseline: {config-recorder: {enabled: false}}}`},
	{name: "an override leaves out a setting that is given further up", text: "baseline: {chat-alert: {topic: x}}\noverrides: [{ou: Dev, reason: r, baseline: {chat-alert: true}}, {account: A, reason: r, baseline: {chat-alert: {enabled: true}}}]"},
	{name: "overrides that say too little or too much", text: `overrides:
  - {ou: Dev, account: Shop, reason: r, baseline: {config-recorder: true}}
  - {reason: r, baseline: {config-recorder: true}}
  - {ou: Dev, baseline: {}}
  - {ou: Dev, reason: r}
  - {ou: Dev, reason: r, until: 2027-01-01, baseline: {root-signin-alert: true}}`, want: `3:5: account and ou are both given; want exactly one of them
4:5: account or ou is missing; want exactly one of them
5:5: reason is missing
5:25: baseline is empty; say which controls are different here
6:5: baseline is missing; say which controls are different here
7:26: unknown key "until" (good: account, ou, reason, baseline)`},
	{name: "controls of overrides", silent: true, text: `overrides:
  - {ou: Dev, reason: r, baseline: {nope: true, config-recorder: {recording: hourly}}}
  - {account: A, reason: r, baseline: {root-signin-alert: {x: 1}, alert-topic: false, config-recorder: {days: 7}}}`, want: `3:37: unknown control "nope" (good: alert-topic, config-change-alert, config-delivery, config-recorder, root-signin-alert, chat-alert)
3:78: unknown recording "hourly" (good: continuous, daily)
4:60: unknown key "x": root-signin-alert has no settings; write true or false
4:67: alert-topic is one for the whole organization and cannot differ here; say it in the baseline section
4:105: days of config-recorder is one for the whole organization and cannot differ here; say it in the baseline section`},
	{name: "exemptions", text: `audit:
  exemptions:
    - {}
    - {account: "*", ou: Dev, region: mars-1, control: config-recordr, reason: "", until: tomorrow}
    - {account: "12345", region: "", control: "", reason: x, until: 2027-3-31}
    - {account: web, control: "*", reason: x, until: 2027-02-30}
    - {account: web, control: "*", reason: x, until: 20270330}`, want: `4:7: account or ou is missing; want exactly one of them
4:7: control is missing
4:7: reason is missing
4:7: until is missing; an exemption ends, so write the last day such as 2027-03-31
5:7: account and ou are both given; want exactly one of them
5:39: unknown Region "mars-1" (good: global, *, ` + allRegions + `)
5:56: unknown control "config-recordr"; did you mean "config-recorder" or "config-delivery"? (good: *, alert-topic, config-change-alert, config-delivery, config-recorder, root-signin-alert, chat-alert)
5:80: reason is empty
5:91: audit.exemptions[1].until: want a date such as 2027-03-31, found the string "tomorrow"
6:17: "12345" is neither an account number (12 digits) nor a name
6:34: region is empty
6:47: control is empty
6:69: audit.exemptions[2].until: want a date such as 2027-03-31, found the date 2027-3-31
7:54: audit.exemptions[3].until: want a date such as 2027-03-31, found the string "2027-02-30"
8:54: audit.exemptions[4].until: want a date such as 2027-03-31, found the number 20270330`},

	// The aggregator.
	{name: "an aggregator that is looked for", text: `audit: {aggregator: {account: "", region: "", name: ""}}`},
	{name: "an aggregator", text: `audit: {aggregator: {account: "222222222222", region: eu-west-1, name: org_1-x}}`},
	{name: "aggregators that cannot be", text: `audit: {aggregator: {account: security, region: mars-1, name: "a b"}}`, want: `2:31: "security" is not an account number; want 12 digits
2:49: unknown Region "mars-1" (good: ` + allRegions + `)
2:63: "a b" is not the name of an aggregator; want 1 to 256 of A-Z a-z 0-9 _ -`},
}

func TestEveryProblemIsReportedInItsPlace(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			_, err := Parse("f", s.data(), known)
			got := ""
			if err != nil {
				var problems Problems
				if !errors.As(err, &problems) {
					t.Fatalf("%T is not Problems: %v", err, err)
				}
				got = strings.ReplaceAll("\n"+err.Error(), "\nf:", "\n")[1:]
			}
			if diff := cmp.Diff(s.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestKnownPartition(t *testing.T) {
	china := known
	china.Partition = partitionOf("aws-cn")
	_, err := Parse("f", []byte("version: 1\nregions: [cn-north-1, us-east-1, cn-north-9]\n"), china)
	const want = `f:2:23: Region "us-east-1" is in partition aws; this organization is in aws-cn
f:2:34: unknown Region "cn-north-9"; did you mean "cn-north-1" or "cn-northwest-1"? (good: cn-north-1, cn-northwest-1)`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

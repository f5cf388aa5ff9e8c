#!/bin/sh
# The audit that runs by itself, on the simulated organization, told step by step. Needs
# nothing but the orgguard binary on PATH; works in a folder of its own.
. "${0%/*}/demo_lib.sh"

say "A simulated organization, and orgguard's own roles in it: one for rollouts, one for
# audits, which the role of the scheduled audit may assume, too."
run 0 orgguard sandbox create
run 0 orgguard --sandbox bootstrap --for-schedule --yes --external-id demo-42
cat > .orgguard/orgguard.yaml <<'EOF'
version: 1
organization: {access_role: OrgGuardRollout, audit_role: OrgGuardAudit, external_id: demo-42}
regions: [ap-northeast-1, us-east-1]
home_region: ap-northeast-1
security_account: "200000000001"
alerts: {email: [security@example.com]}
scp: {protect-config: {break_glass_roles: [OrganizationAccountAccessRole]}}
schedule: {every: 6h}
EOF

say "The baseline is rolled out. (1: the confirmation of a mail is still to come.)"
run 1 orgguard --sandbox rollout --yes
run 0 orgguard sandbox confirm

say "What would make the audit run by itself? One stack in the security account."
run 1 orgguard --sandbox schedule install --dry-run

say "Install it: the bucket, this very program and the configuration in it, the function,
# its schedule, and the alarms that tell when it does not run any more."
run 0 orgguard --sandbox schedule install --yes

say "Installing it again has nothing to do."
run 0 orgguard --sandbox schedule install --yes

say "Do not wait for the clock: run it now. The function has the rights of its own role
# and of the audit role, and no others."
run 0 orgguard --sandbox schedule run --wait

say "Somebody with the break-glass role tampers: stops a recorder, disables an alert rule."
run 0 orgguard sandbox tamper --what recorder-stopped --account shop-prod --region us-east-1
run 0 orgguard sandbox tamper --what rule-disabled --account pay-dev --region ap-northeast-1

say "The stopped recorder began an audit of that account, by itself: nobody ran this one."
run 0 orgguard --sandbox report list --history s3://orgguard-audit-200000000001-ap-northeast-1/orgguard/history

say "The disabled rule is for the next run, which says what else is new."
run 1 orgguard --sandbox schedule run --wait

say "How is the scheduled audit? Its history is in the bucket, for every report."
run 0 orgguard --sandbox schedule status
run 0 orgguard --sandbox report list --history s3://orgguard-audit-200000000001-ap-northeast-1/orgguard/history

say "Repair, and run it again."
run 0 orgguard --sandbox rollout --yes
run 0 orgguard --sandbox schedule run --wait

say "Take it away. The bucket with the history stays, unless --delete-history is given."
run 0 orgguard --sandbox schedule remove --yes
run 1 orgguard --sandbox schedule status

say "That was the scheduled audit."

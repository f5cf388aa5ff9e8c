#!/bin/sh
# orgguard's main job on the simulated organization, told step by step. Needs
# nothing but the orgguard binary on PATH; works in a folder of its own.
. "${0%/*}/demo_lib.sh"

say "A simulated organization: 14 accounts in nested OUs, two Regions. One account is
# suspended, one has a recorder that somebody else made, one does not let us in."
run 0 orgguard sandbox create
run 0 orgguard sandbox show

say "What would a rollout change? Nothing is changed yet. The exit code says that one
# account (data-prod) cannot be looked at; StackSets reaches it all the same."
run 3 orgguard --sandbox plan

say "Roll it out: trusted access, log bucket and alerts in the security account, roles,
# recorders and rules by StackSets, the old recorder adopted, the SCP last."
run 3 orgguard --sandbox rollout --yes

say "The security team clicks the one confirmation mail of the whole organization."
run 0 orgguard sandbox confirm

say "Audit. Clean, but for the account that nobody can look into: 'could not look' is
# never 'in sync', so the exit code is 3."
run 3 orgguard --sandbox audit

say "Rolling out again has nothing to do and sends no write."
run 3 orgguard --sandbox rollout --yes

say "Now somebody with enough rights tampers: stops a recorder, disables an alert rule,
# detaches the SCP from an OU."
run 0 orgguard sandbox tamper --what recorder-stopped --account shop-prod --region us-east-1
run 0 orgguard sandbox tamper --what rule-disabled --account pay-dev --region ap-northeast-1
run 0 orgguard sandbox tamper --what scp-detached --ou Sandbox

say "The alert about the recorder is in the mailbox already."
run 0 orgguard sandbox mail --last 1

say "The audit shows exactly that drift."
run 3 orgguard --sandbox audit

say "Without the account that cannot be looked at, drift alone decides: exit code 1."
run 1 orgguard --sandbox audit --ou Workloads/Dev --format csv

say "Roll out again: three repairs, and clean."
run 3 orgguard --sandbox rollout --yes --quiet

say "And a member account's own administrator cannot switch AWS Config off."
run 1 orgguard sandbox try --account shop-prod --region us-east-1

say "That refused attempt was told, too."
run 0 orgguard sandbox mail --last 1

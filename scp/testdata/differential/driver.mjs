// Asks an independent implementation about policies and requests, for
// scp/differential_test.go. It reads lines of JSON from stdin and answers each with
// a line on stdout:
//
//   {"levels": [{"orgIdentifier", "policies": [{"name", "policy"}]}],
//    "requests": [{"action", "resource", "context"}]}
//   ["Allowed", "ExplicitlyDenied", "ImplicitlyDenied", ...]  or  {"error": "..."}
//
// The only argument is the package.json of the folder the implementation was
// installed in. The identity policy allows everything, so what is denied is denied
// by the service control policies.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const { runSimulation, runUnsafeSimulation } = createRequire(process.argv[2])('@cloud-copilot/iam-simulate')

const account = '111122223333'
const everything = {
  name: 'everything',
  policy: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }
}

// simulate prefers the function without validation, which takes any action, key and
// value. It does not know which actions have no resource, though, so those, whose
// resource is *, go to the other one.
async function simulate(simulation) {
  if (simulation.request.resource.resource !== '*') {
    return runUnsafeSimulation(simulation, {})
  }
  const got = await runSimulation(simulation, {})
  const ignored = got.result?.ignoredContextKeys ?? []
  if (got.resultType !== 'single' || ignored.length > 0) {
    throw new Error(JSON.stringify({ request: simulation.request, type: got.resultType, errors: got.errors, ignored }))
  }
  return got.overallResult
}

async function answer(line) {
  const { levels, requests } = JSON.parse(line)
  const answers = []
  for (const { action, resource, context } of requests) {
    answers.push(
      await simulate({
        request: {
          principal: `arn:aws:iam::${account}:user/tester`,
          action,
          resource: { resource, accountId: account },
          contextVariables: context
        },
        identityPolicies: [everything],
        serviceControlPolicies: levels,
        resourceControlPolicies: []
      })
    )
  }
  return answers
}

for await (const line of createInterface({ input: process.stdin })) {
  let out
  try {
    out = await answer(line)
  } catch (e) {
    out = { error: String(e?.stack ?? e) }
  }
  process.stdout.write(JSON.stringify(out) + '\n')
}

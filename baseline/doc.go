// Package baseline is what orgguard puts into every account and looks for there:
// the controls, the CloudFormation templates behind them, the audit, the plan and
// the rollout.
//
// A control is a file (control_<id>.go), an entry in the table of control.go, and
// one template for each unit it contributes to (templates/<control>.<unit>.yaml).
// A unit is what CloudFormation deploys as one: a stack set, or a stack in one
// account. The templates are the only definition of what must hold: a rollout
// hands them to CloudFormation, and an audit evaluates the same templates for an
// account and a Region (template.go) and compares each resource with what that
// account's own APIs say (kind_*.go). A new control of known resource types is
// therefore one file and its templates; a new resource type is one kind.
//
// What CloudFormation cannot set (an account's S3 public access block, EBS
// encryption by default, …) is written in the same language (settings/*.yaml), with
// resource types of our own, and evaluated, audited and repaired by the same code.
// No stack is made of it: a rollout calls the API in each account. See unit.direct.
//
// Comparing is pure, and so is planning: what was observed goes in, findings and
// changes come out. Reading and writing AWS is in the Observe and Repair methods
// of the kinds, and in stack.go and stackset.go.
//
// The package does not know scp, reports, cmd, or the command line. It calls AWS
// only through the pool it is given.
package baseline

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
// Services that AWS administers for a whole organization (GuardDuty, …) are set the
// same way, in the management account and by the delegated administrator; only what
// orgguard did there itself is ever taken back (kind.revert).
//
// Comparing is pure, and so is planning: what was observed goes in, findings and
// changes come out. Reading and writing AWS is in the Observe and Repair methods
// of the kinds, and in stack.go and stackset.go.
//
// What breaks tools of this kind in real organizations, and the test, somewhere in
// this repository, that shows it does not break this one:
//
//	 1  a recorder or channel exists already         TestPropose, TestARecorderOfOthersIsReplacedAndAnUndoBringsItBack
//	 2  suspended and closed accounts                TestAuditIsCleanAfterARollout, TestInstancesOfAClosedAccountAreSkipped
//	 3  Organizations throttles                      TestThrottlingChangesNothingButTheTime, TestLoadCallsNoMoreThanItMust
//	 4  no preview before apply                      TestStale, TestAPlanIsNotStaleForHavingBeenSaved, TestTheEstimateIsWhatIsDone
//	 5  the SCP locks the tool out                   TestGuards
//	 6  too many SCPs on a node                      TestTroubleWithAttaching
//	 7  an SCP is too long                           TestMinified
//	 8  failures are silent                          TestPartialFailures
//	 9  unchanged sets take their time               TestASecondRolloutChangesNothing, TestARolloutInWavesEndsWhereOneWithoutEnds
//	10  one operation at a time                      TestAnOperationThatRunsIsWaitedFor, TestAQueuedOperationIsWaitedFor
//	11  the management account is not covered        TestProposeWhereTheManagementAccountIsTheSecurityAccount
//	12  accounts and OUs are left out                TestAuditIsCleanAfterARollout, TestTargetsBesideAnExcludedOU, TestCoverMeansExactlyTheWantedAccounts
//	13  removal removes too little, or too much      TestATeardownTakesNothingThatIsNotItsOwn
//	14  accounts move between OUs                    TestAnAccountThatMovedOUKeepsItsStacks
//	15  one account ends the run                     TestAnAccountThatNobodyCanEnterIsNotAssessed, TestAccountsInWhichNobodyCanLookCountAgainstTheTolerance
//	16  no run over all accounts                     TestAuditIsCleanAfterARollout, TestForEachKeepsErrorsApart
//	17  limits that do not hold                      TestNoMoreRequestsThanAllowedAreOnTheWire, TestSlowAPIsAreHeldToTheirRates
//	18  drift is invisible to a state file           TestDisagreementsInTheWorld
//	19  Regions that accounts must opt into          TestAllEnabledRegionsFollowTheAccounts
//	20  new accounts fail at first                   TestANewAccountGetsItsTime
//	21  delegated administrators                     TestADelegatedAdministratorSaysSo
//	22  what AWS Config costs                        TestWhatIsRecordedAndHowOftenIsAsConfigured
//	23  rights that are too wide                     TestAuditAndPlanNeedExactlyTheRightsTheyPrint
//	24  removal leaves debris                        TestATeardownTakesAllAndKeepsWhatHoldsHistory
//	25  simulators of SCPs are wrong                 TestDifferential
//
// The package does not know scp, reports, cmd, or the command line. It calls AWS
// only through the pool it is given.
package baseline

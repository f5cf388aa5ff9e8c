package sim

import "time"

// stacksState is an account × Region's stacks, by stack id.
type stacksState struct {
	Stacks map[string]*stack `json:"stacks,omitempty"`
}

// stack is one CloudFormation stack. Deleted stacks stay, without resources,
// because AWS lists them for 90 days.
type stack struct {
	ID           string                    `json:"id"` // ARN
	Name         string                    `json:"name"`
	Description  string                    `json:"description,omitempty"`
	Template     string                    `json:"template"` // digest in stackSetsState.Templates
	Parameters   map[string]string         `json:"parameters,omitempty"`
	Tags         map[string]string         `json:"tags,omitempty"`
	Capabilities []string                  `json:"capabilities,omitempty"`
	NotifyARNs   []string                  `json:"notify_arns,omitempty"`
	RoleARN      string                    `json:"role_arn,omitempty"`
	Status       string                    `json:"status"`
	Reason       string                    `json:"reason,omitempty"`
	Created      time.Time                 `json:"created"`
	Updated      time.Time                 `json:"updated,omitzero"`
	Deleted      time.Time                 `json:"deleted,omitzero"`
	Protected    bool                      `json:"protected,omitempty"` // termination protection
	OnFailure    string                    `json:"on_failure,omitempty"`
	Token        string                    `json:"token,omitempty"` // ClientRequestToken of the last operation
	Resources    map[string]*stackResource `json:"resources,omitempty"`
	Outputs      []stackOutput             `json:"outputs,omitempty"`
	Imports      []string                  `json:"imports,omitempty"` // names of the exports it uses
	Events       []stackEvent              `json:"events,omitempty"`  // oldest first
	Work         *stackWork                `json:"work,omitempty"`    // what is in progress
}

// stackResource is one resource of a stack.
type stackResource struct {
	Type     string            `json:"type"`
	Physical string            `json:"physical,omitempty"` // physical id, which Ref gives unless Ref is set
	Ref      string            `json:"ref,omitempty"`
	Attrs    map[string]string `json:"attrs,omitempty"` // what Fn::GetAtt gives
	Status   string            `json:"status"`
	Reason   string            `json:"reason,omitempty"`
	Updated  time.Time         `json:"updated"`
}

// stackOutput is one evaluated output.
type stackOutput struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	Description string `json:"description,omitempty"`
	Export      string `json:"export,omitempty"`
}

// stackEvent is one line of a stack's history.
type stackEvent struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
	Logical  string    `json:"logical"`
	Physical string    `json:"physical,omitempty"`
	Type     string    `json:"type"`
	Status   string    `json:"status"`
	Reason   string    `json:"reason,omitempty"`
}

// stackWork is a stack operation that is under way.
type stackWork struct {
	Action     string            `json:"action"`           // CREATE, UPDATE or DELETE
	As         Principal         `json:"as"`               // whose permissions CloudFormation uses
	Policy     string            `json:"policy,omitempty"` // their session policy
	Due        time.Time         `json:"due"`
	Template   string            `json:"template,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Retain     []string          `json:"retain,omitempty"`
	Force      bool              `json:"force,omitempty"`
}

package access

import _ "embed"

// readOnlyPolicy narrows an audit's sessions to reads, whatever the assumed role
// may do. AWS bounds a session policy at 2,048 characters.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
//
//go:embed readonly.json
var readOnlyPolicy string

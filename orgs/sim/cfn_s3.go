package sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var cfnBucket = resourceType{
	name: "BucketName", nameLength: 63, lowerCase: true,
	properties: []string{"BucketEncryption", "LifecycleConfiguration", "ObjectLockEnabled", "OwnershipControls", "PublicAccessBlockConfiguration", "VersioningConfiguration"},
	replace:    []string{"BucketName", "ObjectLockEnabled"},
	attrs:      []string{"Arn", "DomainName", "DualStackDomainName", "RegionalDomainName", "WebsiteURL"},
	tagged:     true,
	create:     createCFNBucket,
	update:     configureBucket,
	delete: func(p *provision) error {
		err := try(p, "S3", "DeleteBucket", &s3.DeleteBucketInput{Bucket: &p.res.Physical})
		return ignore(err, "NoSuchBucket")
	},
	read: readBucket,
}

func createCFNBucket(p *provision) error {
	name := p.generateName()
	in := &s3.CreateBucketInput{Bucket: &name}
	if p.region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(p.region)}
	}
	if p.props.boolean("ObjectLockEnabled") {
		in.ObjectLockEnabledForBucket = aws.Bool(true)
	}
	if p.region == "us-east-1" {
		// There CreateBucket gives an owner the bucket they already have.
		if _, err := perform[s3.HeadBucketOutput](p, "S3", "HeadBucket", &s3.HeadBucketInput{Bucket: &name}); err == nil {
			return p.alreadyExists(name)
		}
	}
	if err := try(p, "S3", "CreateBucket", in); err != nil {
		return err
	}
	p.res.Physical = name
	suffix := p.c.w.urlSuffix()
	p.set("Arn", "arn:"+p.c.w.state.Partition+":s3:::"+name)
	p.set("DomainName", name+".s3."+suffix)
	p.set("DualStackDomainName", name+".s3.dualstack."+p.region+"."+suffix)
	p.set("RegionalDomainName", name+".s3."+p.region+"."+suffix)
	p.set("WebsiteURL", "http://"+name+".s3-website-"+p.region+"."+suffix)
	return configureBucket(p)
}

// bucketSetting is one property of a bucket that has API calls of its own.
type bucketSetting struct {
	property string
	put      func(*provision) error
	remove   func(*provision) error // what taking the property away does; nil: nothing
}

var bucketSettings = []bucketSetting{
	{"BucketEncryption", putBucketEncryptionFor, func(p *provision) error {
		return try(p, "S3", "DeleteBucketEncryption", &s3.DeleteBucketEncryptionInput{Bucket: &p.res.Physical})
	}},
	{"VersioningConfiguration", func(p *provision) error {
		return putVersioning(p, p.props.obj("VersioningConfiguration").text("Status"))
	}, func(p *provision) error { return putVersioning(p, "Suspended") }},
	{"LifecycleConfiguration", putLifecycle, func(p *provision) error {
		return try(p, "S3", "DeleteBucketLifecycle", &s3.DeleteBucketLifecycleInput{Bucket: &p.res.Physical})
	}},
	{"PublicAccessBlockConfiguration", putPublicAccess, func(p *provision) error {
		return try(p, "S3", "DeletePublicAccessBlock", &s3.DeletePublicAccessBlockInput{Bucket: &p.res.Physical})
	}},
	{"OwnershipControls", putOwnership, func(p *provision) error {
		return try(p, "S3", "DeleteBucketOwnershipControls", &s3.DeleteBucketOwnershipControlsInput{Bucket: &p.res.Physical})
	}},
}

// configureBucket applies the properties that differ from what they were.
func configureBucket(p *provision) error {
	for _, s := range bucketSettings {
		var err error
		switch {
		case jsonText(p.old[s.property]) == jsonText(p.props[s.property]):
		case p.props.has(s.property):
			err = s.put(p)
		case s.remove != nil:
			err = s.remove(p)
		}
		if err != nil {
			return err
		}
	}
	tags := tagsOf(p.tags(), func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} })
	return try(p, "S3", "PutBucketTagging", &s3.PutBucketTaggingInput{Bucket: &p.res.Physical, Tagging: &types.Tagging{TagSet: tags}})
}

func putBucketEncryptionFor(p *provision) error {
	in := &s3.PutBucketEncryptionInput{Bucket: &p.res.Physical, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{}}
	for _, r := range p.props.obj("BucketEncryption").list("ServerSideEncryptionConfiguration") {
		var rule types.ServerSideEncryptionRule
		if err := bind(renamed(r, map[string]string{"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}), &rule); err != nil {
			return err
		}
		in.ServerSideEncryptionConfiguration.Rules = append(in.ServerSideEncryptionConfiguration.Rules, rule)
	}
	return try(p, "S3", "PutBucketEncryption", in)
}

func putVersioning(p *provision, status string) error {
	return try(p, "S3", "PutBucketVersioning", &s3.PutBucketVersioningInput{
		Bucket: &p.res.Physical, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatus(status)}})
}

func putPublicAccess(p *provision) error {
	in := &s3.PutPublicAccessBlockInput{Bucket: &p.res.Physical}
	if err := bind(p.props["PublicAccessBlockConfiguration"], &in.PublicAccessBlockConfiguration); err != nil {
		return err
	}
	return try(p, "S3", "PutPublicAccessBlock", in)
}

func putOwnership(p *provision) error {
	in := &s3.PutBucketOwnershipControlsInput{Bucket: &p.res.Physical}
	if err := bind(p.props["OwnershipControls"], &in.OwnershipControls); err != nil {
		return err
	}
	return try(p, "S3", "PutBucketOwnershipControls", in)
}

func putLifecycle(p *provision) error {
	in := &s3.PutBucketLifecycleConfigurationInput{Bucket: &p.res.Physical, LifecycleConfiguration: &types.BucketLifecycleConfiguration{}}
	for _, r := range p.props.obj("LifecycleConfiguration").list("Rules") {
		rule, err := lifecycleRule(asProps(r))
		if err != nil {
			return err
		}
		in.LifecycleConfiguration.Rules = append(in.LifecycleConfiguration.Rules, rule)
	}
	return try(p, "S3", "PutBucketLifecycleConfiguration", in)
}

// lifecycleRule makes the API's rule of a template's, which is flatter.
func lifecycleRule(r props) (types.LifecycleRule, error) {
	api := map[string]any{"Filter": map[string]any{"Prefix": r.text("Prefix")}}
	expiration := map[string]any{}
	for _, k := range sortedKeys(r) {
		v := r[k]
		switch k {
		case "Id":
			api["ID"] = v
		case "Prefix":
		case "ExpirationInDays":
			expiration["Days"] = v
		case "ExpiredObjectDeleteMarker":
			expiration[k] = v
		case "Transitions", "Transition", "NoncurrentVersionTransitions", "NoncurrentVersionTransition":
			days := map[string]string{"TransitionInDays": "Days"}
			name := "Transitions"
			if k[0] == 'N' {
				days, name = map[string]string{"TransitionInDays": "NoncurrentDays"}, "NoncurrentVersionTransitions"
			}
			list, ok := v.([]any)
			if !ok {
				list = []any{v}
			}
			out := []any{}
			for _, t := range list {
				out = append(out, renamed(t, days))
			}
			api[name] = out
		case "NoncurrentVersionExpirationInDays":
			api["NoncurrentVersionExpiration"] = map[string]any{"NoncurrentDays": v}
		default:
			api[k] = v
		}
	}
	if len(expiration) > 0 {
		api["Expiration"] = expiration
	}
	var out types.LifecycleRule
	err := bind(api, &out)
	return out, err
}

func readBucket(p *provision) (map[string]any, error) {
	live := map[string]any{}
	versioning, err := perform[s3.GetBucketVersioningOutput](p, "S3", "GetBucketVersioning", &s3.GetBucketVersioningInput{Bucket: &p.res.Physical})
	if err != nil {
		return nil, err
	}
	live["VersioningConfiguration"] = map[string]any{"Status": string(versioning.Status)}
	public, err := perform[s3.GetPublicAccessBlockOutput](p, "S3", "GetPublicAccessBlock", &s3.GetPublicAccessBlockInput{Bucket: &p.res.Physical})
	switch {
	case err == nil:
		live["PublicAccessBlockConfiguration"] = plain(public.PublicAccessBlockConfiguration)
	case hasCode(err, "NoSuchPublicAccessBlockConfiguration"):
		live["PublicAccessBlockConfiguration"] = map[string]any{}
	default:
		return nil, err
	}
	return live, nil
}

var cfnBucketPolicy = resourceType{
	required: []string{"Bucket", "PolicyDocument"},
	replace:  []string{"Bucket"},
	create: func(p *provision) error {
		if err := putBucketPolicyFor(p); err != nil {
			return err
		}
		p.res.Physical = p.props.text("Bucket")
		return nil
	},
	update: putBucketPolicyFor,
	delete: func(p *provision) error {
		err := try(p, "S3", "DeleteBucketPolicy", &s3.DeleteBucketPolicyInput{Bucket: &p.res.Physical})
		return ignore(err, "NoSuchBucket", "NoSuchBucketPolicy")
	},
	read: func(p *provision) (map[string]any, error) {
		out, err := perform[s3.GetBucketPolicyOutput](p, "S3", "GetBucketPolicy", &s3.GetBucketPolicyInput{Bucket: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		return map[string]any{"PolicyDocument": aws.ToString(out.Policy)}, nil
	},
}

func putBucketPolicyFor(p *provision) error {
	return try(p, "S3", "PutBucketPolicy", &s3.PutBucketPolicyInput{Bucket: p.props.opt("Bucket"), Policy: aws.String(p.props.document("PolicyDocument"))})
}

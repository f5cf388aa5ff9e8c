package sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	"github.com/aws/aws-sdk-go-v2/service/s3control/types"
)

// s3controlOps is S3's API for an account's own settings. IAM has one action for
// setting and deleting the block.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
var s3controlOps = map[string]operation{
	"GetPublicAccessBlock":    named("s3:GetAccountPublicAccessBlock", op(read, getAccountBlock)),
	"PutPublicAccessBlock":    named("s3:PutAccountPublicAccessBlock", op(write, putAccountBlock)),
	"DeletePublicAccessBlock": named("s3:PutAccountPublicAccessBlock", op(write, deleteAccountBlock)),
}

// named gives an operation the IAM action that it is called in policies.
func named(action string, o operation) operation {
	o.action = action
	return o
}

// ownAccount refuses a call about another account than the caller's.
func ownAccount(c *call, id *string) error {
	if aws.ToString(id) != c.caller.Account {
		return denied(c.service, "Access Denied")
	}
	return nil
}

func getAccountBlock(c *call, in *s3control.GetPublicAccessBlockInput) (*s3control.GetPublicAccessBlockOutput, error) {
	if err := ownAccount(c, in.AccountId); err != nil {
		return nil, err
	}
	b := c.account().PublicAccess
	if b == nil {
		return nil, &types.NoSuchPublicAccessBlockConfiguration{Message: aws.String("The public access block configuration was not found")}
	}
	out := detach(*b)
	return &s3control.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: &out}, nil
}

// putAccountBlock replaces the whole block: what the call leaves out is false.
func putAccountBlock(c *call, in *s3control.PutPublicAccessBlockInput) (*s3control.PutPublicAccessBlockOutput, error) {
	if err := ownAccount(c, in.AccountId); err != nil {
		return nil, err
	}
	off := func(b *bool) *bool { return aws.Bool(aws.ToBool(b)) }
	b := in.PublicAccessBlockConfiguration
	c.account().PublicAccess = &types.PublicAccessBlockConfiguration{
		BlockPublicAcls: off(b.BlockPublicAcls), BlockPublicPolicy: off(b.BlockPublicPolicy),
		IgnorePublicAcls: off(b.IgnorePublicAcls), RestrictPublicBuckets: off(b.RestrictPublicBuckets),
	}
	return &s3control.PutPublicAccessBlockOutput{}, nil
}

func deleteAccountBlock(c *call, in *s3control.DeletePublicAccessBlockInput) (*s3control.DeletePublicAccessBlockOutput, error) {
	if err := ownAccount(c, in.AccountId); err != nil {
		return nil, err
	}
	c.account().PublicAccess = nil
	return &s3control.DeletePublicAccessBlockOutput{}, nil
}

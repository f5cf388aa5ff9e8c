package access

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
)

// S3Control is the operations of an account's own S3 settings; see EC2 for why they
// are taken out of their client.
type S3Control struct {
	GetPublicAccessBlock s3controlCall[s3control.GetPublicAccessBlockInput, s3control.GetPublicAccessBlockOutput]
	PutPublicAccessBlock s3controlCall[s3control.PutPublicAccessBlockInput, s3control.PutPublicAccessBlockOutput]
}

// s3controlCall is an operation of S3 Control.
type s3controlCall[In, Out any] = func(context.Context, *In, ...func(*s3control.Options)) (*Out, error)

func newS3Control(cfg aws.Config) S3Control {
	c := s3control.NewFromConfig(cfg)
	return S3Control{GetPublicAccessBlock: c.GetPublicAccessBlock, PutPublicAccessBlock: c.PutPublicAccessBlock}
}

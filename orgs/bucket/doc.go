// Package bucket reads and writes objects of an S3 bucket that stand below a prefix:
// s3://bucket/prefix, as orgguard's flags name it.
//
// It is for a few objects that several runs of orgguard share. Create and Replace
// write only what nobody else has written meanwhile, by S3's conditional writes, so
// that two that run at once do not overwrite each other. What a failed condition means
// is for the caller to say.
//
// It imports only orgs, and knows nothing of what the objects hold.
package bucket

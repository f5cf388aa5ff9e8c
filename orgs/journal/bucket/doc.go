// Package bucket keeps copies of journals in S3.
//
// S3 cannot append to an object. So each entry of a journal is an object of its own,
//
//	<prefix><organization>/<run>/<number of the entry, eight digits>.json
//
// whose content is the line of the local file, byte for byte. The entries name the
// hash of the one before, so the chain goes on across objects, and one that was
// deleted, replaced or put in is found when the run is read. An object is written
// with If-None-Match: *, so that none is ever replaced, and with a checksum, which
// Object Lock asks for; none is ever deleted. With Object Lock and a default
// retention on the bucket, nobody else can do it either.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
//
// The bucket is its owner's: the package never makes one, because the journal has to
// be there before the first thing that it tells of.
//
// The package knows S3 and orgs, and nothing else of orgguard.
package bucket

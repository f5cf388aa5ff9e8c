// Package moto runs moto_server (https://docs.getmoto.org), an emulator of AWS
// that others keep, for tests: a second opinion, over the real wire, beside the
// simulated organization.
//
// It is imported by tests alone, and knows of orgguard only how it sends requests. What moto does
// differently from AWS is the business of the tests that use it; what it takes to
// talk to it at all is here:
//
//   - What it has not implemented it answers with HTTP 500 and a page of HTML. The
//     SDK would try that again three times, seconds apart, so Config allows one
//     attempt.
//   - AWS_CA_BUNDLE in the environment breaks config.LoadDefaultConfig with a
//     plain *http.Client, which has no transport options to put the bundle into.
//     Config makes an aws.Config by hand with the SDK's own buildable client; a
//     test that goes through LoadDefaultConfig passes that client too.
//   - An endpoint that LoadDefaultConfig has read from the environment or from
//     WithBaseEndpoint wins over one that is set on a copy afterwards. An
//     aws.Config made by hand has none to win.
//   - By IP address, S3 is asked by path by itself; "localhost" would not be.
package moto

// Package access gives the credentials and the clients with which the rest of
// orgguard calls AWS: one configuration, one HTTP transport, one client for each
// service, and for every call the account, the Region and the credentials as
// options of that call. A client for every account × Region × service would cost
// memory and connections that grow with the organization; this does not.
//
// Here too is everything that holds for all calls: retries, the limit of requests
// on the wire, the published rates of slow APIs, and the record of which actions
// were used. It is the only importer of aws/config and stscreds, and imports of
// orgguard only orgs.
package access

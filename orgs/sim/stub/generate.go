package stub

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
)

// modelAccount is what listings say of the accounts of the world.
type modelAccount struct {
	fixed []types.Account // management and security
	like  types.Account   // the model
	paths []string        // of the OUs that members are spread over
}

// firstMember is the number of the first member that is not of the world.
const firstMember = 300_000_000_001

// member is the account number of the i-th generated member.
func member(i int) string { return strconv.Itoa(firstMember + i) }

// generatedMembers is how many accounts are not of the world.
func (s *Stub) generatedMembers() int { return s.opts.Accounts - 3 }

// isMember says whether an account is the model under another number.
func (s *Stub) isMember(account string) bool {
	return account != s.opts.Management && account != s.opts.Security
}

// index is which generated member an account is.
func (s *Stub) index(account string) (int, bool) {
	n, err := strconv.Atoi(account)
	if err != nil || n < firstMember || n >= firstMember+s.generatedMembers() {
		return 0, false
	}
	return n - firstMember, true
}

func (s *Stub) suspended(i int) bool { return i >= s.generatedMembers()-s.opts.Suspended }

func (s *Stub) denied(i int) bool {
	return !s.suspended(i) && i >= s.generatedMembers()-s.opts.Suspended-s.opts.Denied
}

// readModel reads the accounts of the world.
func (s *Stub) readModel(ctx context.Context) error {
	out, err := s.world.Ask(ctx, s.opts.Management, "us-east-1", "Organizations", "ListAccounts", func(any) error { return nil })
	if err != nil {
		return err
	}
	found := map[string]types.Account{}
	for _, a := range out.(*organizations.ListAccountsOutput).Accounts {
		found[aws.ToString(a.Id)] = a
		if id := aws.ToString(a.Id); id != s.opts.Management && id != s.opts.Security && len(a.Paths) > 0 {
			s.model.paths = append(s.model.paths, a.Paths[0])
		}
	}
	for _, id := range []string{s.opts.Management, s.opts.Security, s.opts.Model} {
		if _, ok := found[id]; !ok {
			return fmt.Errorf("the world has no account %s", id)
		}
	}
	s.model.fixed = []types.Account{found[s.opts.Management], found[s.opts.Security]}
	s.model.like = found[s.opts.Model]
	return nil
}

// account is the n-th account of a listing.
func (s *Stub) account(n int) types.Account {
	if n < 2 {
		return s.model.fixed[n]
	}
	a := s.model.like
	if n == 2 {
		return a
	}
	i := n - 3
	model, id := aws.ToString(a.Id), member(i)
	a.Id = aws.String(id)
	a.Arn = aws.String(strings.ReplaceAll(aws.ToString(a.Arn), model, id))
	a.Name = aws.String(fmt.Sprintf("account-%05d", i))
	a.Email = aws.String(fmt.Sprintf("account-%05d@example.com", i))
	a.Paths = []string{strings.ReplaceAll(s.model.paths[i%len(s.model.paths)], model, id)}
	if s.suspended(i) {
		a.State, a.Status = types.AccountStateSuspended, types.AccountStatusSuspended
	}
	return a
}

// generated answers what names many accounts, or stands for one of them.
func (s *Stub) generated(ctx context.Context, q request) (answer, bool, error) {
	switch q.service.id + ":" + q.operation {
	case "Organizations:ListAccounts":
		var in organizations.ListAccountsInput
		if err := q.decode(&in); err != nil {
			return answer{}, true, err
		}
		a, err := s.listAccounts(q, &in)
		return a, true, err
	case "STS:AssumeRole":
		var in sts.AssumeRoleInput
		if err := q.decode(&in); err != nil {
			return answer{}, true, err
		}
		a, err := s.assumeRole(q, &in)
		return a, true, err
	case "CloudFormation:ListStackInstances":
		var in cloudformation.ListStackInstancesInput
		if err := q.decode(&in); err != nil {
			return answer{}, true, err
		}
		a, err := s.listStackInstances(ctx, q, &in)
		return a, true, err
	case "Config Service:SelectAggregateResourceConfig":
		var in configservice.SelectAggregateResourceConfigInput
		if err := q.decode(&in); err != nil {
			return answer{}, true, err
		}
		a, err := s.selectAggregate(ctx, q, &in)
		return a, true, err
	case "Config Service:BatchGetAggregateResourceConfig":
		var in configservice.BatchGetAggregateResourceConfigInput
		if err := q.decode(&in); err != nil {
			return answer{}, true, err
		}
		a, err := s.batchGetAggregate(ctx, q, &in)
		return a, true, err
	}
	return answer{}, false, nil
}

// page reads a token and gives the bounds of a page and the token of the next.
func page(token *string, size, most, total int) (from, to int, next *string, err error) {
	if token != nil {
		if from, err = strconv.Atoi(*token); err != nil || from < 0 || from > total {
			return 0, 0, nil, &smithy.GenericAPIError{Code: "InvalidInputException", Message: "no such token"}
		}
	}
	if size <= 0 || size > most {
		size = most
	}
	to = min(from+size, total)
	if to < total {
		next = aws.String(strconv.Itoa(to))
	}
	return from, to, next, nil
}

func (s *Stub) listAccounts(q request, in *organizations.ListAccountsInput) (answer, error) {
	from, to, next, err := page(in.NextToken, int(aws.ToInt32(in.MaxResults)), 20, s.opts.Accounts)
	if err != nil {
		return answer{}, err
	}
	out := &organizations.ListAccountsOutput{NextToken: next}
	for n := from; n < to; n++ {
		out.Accounts = append(out.Accounts, s.account(n))
	}
	return q.success(out)
}

// assumeRole lets the caller in, unless the account is suspended or refuses.
func (s *Stub) assumeRole(q request, in *sts.AssumeRoleInput) (answer, error) {
	arn := aws.ToString(in.RoleArn)
	part := strings.Split(arn, ":")
	if len(part) != 6 {
		return answer{}, &smithy.GenericAPIError{Code: "ValidationError", Message: arn + " is invalid"}
	}
	account := part[4]
	i, generated := s.index(account)
	known := generated || account == s.opts.Security || account == s.opts.Model
	if !known || generated && (s.denied(i) || s.suspended(i)) {
		return answer{}, &smithy.GenericAPIError{Code: "AccessDenied", Message: "User: arn:aws:sts::" + q.account + ":assumed-role/OrgAdmin/bench is not authorized to perform: sts:AssumeRole on resource: " + arn}
	}
	return q.success(&sts.AssumeRoleOutput{Credentials: &ststypes.Credentials{
		AccessKeyId: aws.String(AccessKey(account)), SecretAccessKey: aws.String("stub"), SessionToken: aws.String(strings.Repeat("stub", 100)),
		Expiration: aws.Time(time.Now().Add(time.Hour)),
	}})
}

// listStackInstances gives every account the instances that the model has. They
// are written as the model's with another number.
func (s *Stub) listStackInstances(ctx context.Context, q request, in *cloudformation.ListStackInstancesInput) (answer, error) {
	regions, err := s.instances(ctx, q, aws.ToString(in.StackSetName), in.StackInstanceRegion)
	if err != nil {
		return answer{}, err
	}
	one := aws.ToString(in.StackInstanceAccount)
	accounts := s.opts.Accounts - 1 - s.opts.Suspended // not the management account
	if one != "" {
		accounts = 1
	}
	from, to, next, err := page(in.NextToken, int(aws.ToInt32(in.MaxResults)), 100, accounts*len(regions))
	if err != nil {
		return answer{}, err
	}
	var b bytes.Buffer
	b.WriteString("<ListStackInstancesResponse><ListStackInstancesResult><Summaries>")
	for n := from; n < to; n++ {
		id := one
		if id == "" {
			id = aws.ToString(s.account(1 + n/len(regions)).Id)
		}
		b.Write(regions[n%len(regions)].about(id).body)
	}
	b.WriteString("</Summaries>")
	if next != nil {
		b.WriteString("<NextToken>" + *next + "</NextToken>")
	}
	b.WriteString("</ListStackInstancesResult></ListStackInstancesResponse>")
	return answer{http.StatusOK, typeXML, b.Bytes()}, nil
}

// selectAggregate gives every account the rows that the model has; the others of
// the world have none of their own. What is asked is asked of the world once.
func (s *Stub) selectAggregate(ctx context.Context, q request, in *configservice.SelectAggregateResourceConfigInput) (answer, error) {
	key := "rows\x00" + aws.ToString(in.ConfigurationAggregatorName) + "\x00" + aws.ToString(in.Expression)
	have, ok := s.answers.Load(key)
	if !ok {
		rows, err := s.modelRows(ctx, q, in)
		if err != nil {
			return answer{}, err
		}
		have, _ = s.answers.LoadOrStore(key, rows)
	}
	rows := have.([]string)
	accounts := s.opts.Accounts - s.opts.Suspended
	from, to, next, err := page(in.NextToken, int(in.Limit), 100, accounts*len(rows))
	if err != nil {
		return answer{}, err
	}
	out := &configservice.SelectAggregateResourceConfigOutput{NextToken: next}
	for n := from; n < to; n++ {
		out.Results = append(out.Results, strings.ReplaceAll(rows[n%len(rows)], s.opts.Model, aws.ToString(s.account(n/len(rows)).Id)))
	}
	return q.success(out)
}

// modelRows are the rows of a query that are about the model.
func (s *Stub) modelRows(ctx context.Context, q request, in *configservice.SelectAggregateResourceConfigInput) ([]string, error) {
	var out []string
	for token := (*string)(nil); ; {
		got, err := s.world.Ask(context.WithoutCancel(ctx), q.account, q.region, q.service.id, q.operation, func(to any) error {
			*to.(*configservice.SelectAggregateResourceConfigInput) = configservice.SelectAggregateResourceConfigInput{
				ConfigurationAggregatorName: in.ConfigurationAggregatorName, Expression: in.Expression, NextToken: token,
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		page := got.(*configservice.SelectAggregateResourceConfigOutput)
		for _, row := range page.Results {
			if strings.Contains(row, `"`+s.opts.Model+`"`) {
				out = append(out, row)
			}
		}
		if token = page.NextToken; token == nil {
			return out, nil
		}
	}
}

// batchGetAggregate gives every account the items that the model has, each written as
// the model's with another number.
func (s *Stub) batchGetAggregate(ctx context.Context, q request, in *configservice.BatchGetAggregateResourceConfigInput) (answer, error) {
	var b bytes.Buffer
	b.WriteString(`{"BaseConfigurationItems":[`)
	for i, id := range in.ResourceIdentifiers {
		account := aws.ToString(id.SourceAccountId)
		id.SourceAccountId, id.ResourceId = aws.String(s.opts.Model), aws.String(strings.ReplaceAll(aws.ToString(id.ResourceId), account, s.opts.Model))
		item, err := s.modelItem(ctx, q, aws.ToString(in.ConfigurationAggregatorName), id)
		if err != nil {
			return answer{}, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(item.about(account).body)
	}
	b.WriteString(`],"UnprocessedResourceIdentifiers":[]}`)
	return answer{http.StatusOK, typeJSON, b.Bytes()}, nil
}

// modelItem is an item of the model's. It is asked of the world once.
func (s *Stub) modelItem(ctx context.Context, q request, aggregator string, id configtypes.AggregateResourceIdentifier) (*prepared, error) {
	key := strings.Join([]string{"item", aggregator, string(id.ResourceType), aws.ToString(id.SourceRegion), aws.ToString(id.ResourceId)}, "\x00")
	if have, ok := s.answers.Load(key); ok {
		return have.(*prepared), nil
	}
	got, err := s.world.Ask(context.WithoutCancel(ctx), q.account, q.region, q.service.id, q.operation, func(to any) error {
		*to.(*configservice.BatchGetAggregateResourceConfigInput) = configservice.BatchGetAggregateResourceConfigInput{
			ConfigurationAggregatorName: aws.String(aggregator), ResourceIdentifiers: []configtypes.AggregateResourceIdentifier{id},
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	whole, err := q.json(got)
	if err != nil {
		return nil, err
	}
	var out struct{ BaseConfigurationItems []json.RawMessage }
	if err := json.Unmarshal(whole, &out); err != nil {
		return nil, err
	}
	if len(out.BaseConfigurationItems) != 1 {
		return nil, &smithy.GenericAPIError{Code: "ValidationException", Message: "the model has no " + string(id.ResourceType) + " " + aws.ToString(id.ResourceId)}
	}
	item := &prepared{pieces: bytes.Split(out.BaseConfigurationItems[0], []byte(s.opts.Model))}
	s.answers.Store(key, item)
	return item, nil
}

// instances are the model's instances of a stack set, one a Region.
func (s *Stub) instances(ctx context.Context, q request, set string, region *string) ([]*prepared, error) {
	key := "instances\x00" + set + "\x00" + aws.ToString(region)
	if have, ok := s.answers.Load(key); ok {
		return have.([]*prepared), nil
	}
	var out []*prepared
	var token *string
	for {
		got, err := s.world.Ask(context.WithoutCancel(ctx), q.account, q.region, q.service.id, q.operation, func(in any) error {
			*in.(*cloudformation.ListStackInstancesInput) = cloudformation.ListStackInstancesInput{
				StackSetName: aws.String(set), StackInstanceAccount: aws.String(s.opts.Model), StackInstanceRegion: region,
				CallAs: cfntypes.CallAsSelf, NextToken: token,
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		list := got.(*cloudformation.ListStackInstancesOutput)
		for _, i := range list.Summaries {
			var b bytes.Buffer
			xmlElement(&b, "member", reflect.ValueOf(i), false)
			out = append(out, &prepared{pieces: bytes.Split(b.Bytes(), []byte(s.opts.Model))})
		}
		if token = list.NextToken; token == nil {
			break
		}
	}
	s.answers.Store(key, out)
	return out, nil
}

package orgs

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
)

// TagAPI is what LoadTags asks of AWS Organizations.
type TagAPI interface {
	ListTagsForResource(context.Context, *organizations.ListTagsForResourceInput, ...func(*organizations.Options)) (*organizations.ListTagsForResourceOutput, error)
}

// LoadTags reads the tags of accounts. No listing gives them, so it is a call for
// each account, at the ten a second that AWS allows: select by number and OU first
// where that narrows.
func LoadTags(ctx context.Context, api TagAPI, ids []AccountID) (map[AccountID]map[string]string, error) {
	found := ForEach(ctx, ids, 16, func(ctx context.Context, id AccountID) (map[string]string, error) {
		tags := map[string]string{}
		p := organizations.NewListTagsForResourcePaginator(api, &organizations.ListTagsForResourceInput{ResourceId: aws.String(string(id))})
		for p.HasMorePages() {
			page, err := p.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("list tags of account %s: %w", id, err)
			}
			for _, t := range page.Tags {
				tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
		}
		return tags, nil
	})
	out := make(map[AccountID]map[string]string, len(ids))
	for i, o := range found {
		if o.Err != nil { // an account whose tags are unknown may be the one that is meant
			return nil, o.Err
		}
		out[ids[i]] = o.Value
	}
	return out, nil
}

// ParseTag reads "key" or "key=value".
func ParseTag(s string) (Tag, error) {
	key, value, _ := strings.Cut(s, "=")
	if key == "" {
		return Tag{}, fmt.Errorf("tag %q: want key=value, or key alone for any value", s)
	}
	return Tag{Key: key, Value: value}, nil
}

package sim

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// pageOf cuts one page out of a listing and makes the token for the next. The
// token is opaque and good for the same operation by the same account only; ok
// is false for any other.
func pageOf[T any](c *call, items []T, limit int, token *string) (page []T, next *string, ok bool) {
	start := 0
	if token != nil && *token != "" {
		if start, ok = c.readToken(*token); !ok {
			return nil, nil, false
		}
	}
	start = min(start, len(items)) // the list may have become shorter meanwhile
	end := min(start+limit, len(items))
	if end < len(items) {
		t := c.makeToken(end)
		next = &t
	}
	return items[start:end], next, true
}

func (c *call) makeToken(offset int) string {
	return base64.URLEncoding.EncodeToString([]byte(c.caller.Account + "/" + c.service + "/" + c.op + "/" + strconv.Itoa(offset)))
}

func (c *call) readToken(token string) (int, bool) {
	raw, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		return 0, false
	}
	offset, ok := strings.CutPrefix(string(raw), c.caller.Account+"/"+c.service+"/"+c.op+"/")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(offset)
	return n, err == nil && n >= 0
}

package access

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// dated is a wire whose answers say what time it is.
type dated struct {
	wire
	ahead time.Duration // of the local clock
}

func (d dated) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.wire.RoundTrip(r)
	if err == nil {
		resp.Header.Set("Date", time.Now().Add(-d.ahead).UTC().Format(http.TimeFormat))
	}
	return resp, err
}

func TestTheClockIsComparedWithAWSs(t *testing.T) {
	for _, ahead := range []time.Duration{0, 7 * time.Minute, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			cfg := wire{}.config()
			cfg.HTTPClient = &http.Client{Transport: dated{ahead: ahead}}
			if skew, known := newPool(t, cfg).ClockSkew(); !known || skew != ahead {
				t.Errorf("%s, %v; want %s", skew, known, ahead)
			}
		})
	}
	if _, known := newPool(t, demo(t).ManagementConfig("us-east-1")).ClockSkew(); known {
		t.Error("the simulated organization has no clock")
	}
}

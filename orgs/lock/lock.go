package lock

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/orgguard/orgguard/orgs"
)

// Name is the parameter's name.
const Name = "/orgguard/lock"

type api interface {
	PutParameter(context.Context, *ssm.PutParameterInput, ...func(*ssm.Options)) (*ssm.PutParameterOutput, error)
	GetParameter(context.Context, *ssm.GetParameterInput, ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
	DeleteParameter(context.Context, *ssm.DeleteParameterInput, ...func(*ssm.Options)) (*ssm.DeleteParameterOutput, error)
}

// Store is where the lock is kept.
type Store struct {
	API api
	At  func(*ssm.Options) // the account × Region
}

// Holder is who holds the lock.
type Holder struct {
	ID      string    `json:"id"`      // names this taking of the lock
	Who     string    `json:"who"`     // the caller's ARN
	Command string    `json:"command"` // "rollout"
	Host    string    `json:"host"`    // where it runs, for people
	Since   time.Time `json:"since"`   // UTC
}

// HeldError says that somebody else holds the lock.
type HeldError struct{ Holder Holder }

func (e *HeldError) Error() string {
	h := e.Holder
	return fmt.Sprintf("another orgguard %s is under way: lock %s is held by %s on %s since %s", h.Command, h.ID, h.Who, h.Host, h.Since.UTC().Format(time.RFC3339))
}

// Hint says what to do about it.
func (e *HeldError) Hint() string {
	return "wait until it is done; if it is dead, take the lock away from it: --break-lock " + e.Holder.ID
}

// Held is who holds the lock; nil when nobody does.
func (s Store) Held(ctx context.Context) (*Holder, error) {
	out, err := s.API.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(Name)}, s.At)
	if orgs.Code(err) == "ParameterNotFound" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the lock %s: %w", Name, err)
	}
	var h Holder
	if err := json.Unmarshal([]byte(aws.ToString(out.Parameter.Value)), &h); err != nil || h.ID == "" {
		return nil, &orgs.Hinted{
			Err:  fmt.Errorf("the lock %s holds something that orgguard did not write", Name),
			Next: "look at the parameter in the management account, and delete it if nothing is under way",
		}
	}
	return &h, nil
}

// Check is a *HeldError when somebody holds the lock.
func (s Store) Check(ctx context.Context) error {
	h, err := s.Held(ctx)
	if err == nil && h != nil {
		err = &HeldError{*h}
	}
	return err
}

// Acquire takes the lock for h, whose ID it chooses, or says with a *HeldError who
// has it.
func (s Store) Acquire(ctx context.Context, h Holder) (Holder, error) {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	h.ID = hex.EncodeToString(b[:])
	value, err := json.Marshal(h)
	if err != nil {
		return h, err
	}
	_, err = s.API.PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String(Name), Value: aws.String(string(value)), Type: types.ParameterTypeString, Overwrite: aws.Bool(false),
		Description: aws.String("orgguard: who is writing to the organization right now"),
	}, s.At)
	if orgs.Code(err) == "ParameterAlreadyExists" {
		// A retry whose first try got through finds its own lock.
		held, herr := s.Held(ctx)
		switch {
		case herr != nil:
			return h, herr
		case held == nil:
			return h, fmt.Errorf("take the lock %s: it was let go just now; try again", Name)
		case held.ID == h.ID:
			return h, nil
		}
		return h, &HeldError{*held}
	}
	if err != nil {
		return h, fmt.Errorf("take the lock %s: %w", Name, err)
	}
	return h, nil
}

// Release lets the lock go if id still holds it: one that was broken is another's
// now.
func (s Store) Release(ctx context.Context, id string) error {
	held, err := s.Held(ctx)
	if err != nil || held == nil || held.ID != id {
		return err
	}
	if _, err := s.API.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: aws.String(Name)}, s.At); err != nil && orgs.Code(err) != "ParameterNotFound" {
		return fmt.Errorf("let the lock %s go: %w", Name, err)
	}
	return nil
}

// Break takes the lock away from the holder with the id. Nobody else's lock is
// touched: it is an error when the id is not the holder's.
func (s Store) Break(ctx context.Context, id string) error {
	held, err := s.Held(ctx)
	switch {
	case err != nil:
		return err
	case held == nil:
		return nil
	case held.ID != id:
		return fmt.Errorf("lock %s is not held any more: %w", id, &HeldError{*held})
	}
	return s.Release(ctx, id)
}

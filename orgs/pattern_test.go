package orgs

import (
	"sync"
	"testing"
)

func TestAPatternIsCompiledOnceAndWhenAsked(t *testing.T) {
	p := NewPattern(`^[a-z]{1,3}$`)
	if p.regexp != nil {
		t.Error("it was compiled before anybody asked")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if !p.MatchString("abc") || p.MatchString("abcd") {
				t.Error("it does not match what it says")
			}
		})
	}
	wg.Wait()
	if got := p.String(); got != `^[a-z]{1,3}$` {
		t.Errorf("String() = %s", got)
	}
}

func TestAPatternThatDoesNotCompilePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	NewPattern(`(`).MatchString("")
}

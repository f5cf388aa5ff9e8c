package orgs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
)

// twins is an organization in which names repeat and lie.
func twins() *orgs.Organization {
	return orgs.New("o-twins", "100000000001", orgs.PartitionOf("aws"), []orgs.OU{
		{ID: "r-1", Name: "Root"},
		{ID: "ou-1-workloads", Name: "Workloads", Parent: "r-1"},
		{ID: "ou-1-prod", Name: "Prod", Parent: "ou-1-workloads"},
		{ID: "ou-1-sandbox", Name: "Sandbox", Parent: "r-1"},
		{ID: "ou-1-prod2", Name: "Prod", Parent: "ou-1-sandbox"},
		{ID: "ou-1-nested", Name: "Sandbox", Parent: "ou-1-workloads"},
		{ID: "ou-1-slash", Name: "a/b", Parent: "r-1"},
		{ID: "ou-1-a", Name: "a", Parent: "r-1"},
		{ID: "ou-1-lead", Name: "/lead", Parent: "r-1"},
		{ID: "ou-1-liar", Name: "ou-1-prod", Parent: "r-1"},
		{ID: "ou-1-root", Name: "Root", Parent: "ou-1-sandbox"},
		{ID: "ou-1-blank", Name: " ", Parent: "r-1"},
	}, []orgs.Account{
		{ID: "300000000002", Name: "twin", Parent: "ou-1-prod", State: orgs.StateActive},
		{ID: "300000000001", Name: "twin", Parent: "ou-1-prod2", State: orgs.StateActive},
		{ID: "300000000003", Name: "300000000001", Parent: "ou-1-sandbox", State: orgs.StateActive},
		{ID: "300000000005", Name: "999999999999", Parent: "ou-1-workloads", State: orgs.StateActive},
		{ID: "300000000004", Name: "shop-prod", Parent: "ou-1-workloads", State: orgs.StateActive},
		{ID: "100000000001", Name: "management", Parent: "r-1", State: orgs.StateActive},
	})
}

func TestFindOU(t *testing.T) {
	for _, tc := range []struct {
		name, ref string
		want      orgs.NodeID
		err       string
	}{
		{name: "by id", ref: "ou-1-prod", want: "ou-1-prod"},
		{name: "by the root's id", ref: "r-1", want: "r-1"},
		{name: "the root by its name", ref: "Root", want: "r-1"},
		{name: "the root in small letters", ref: "root", want: "r-1"},
		{name: "an OU called Root by its path", ref: "Root/Sandbox/Root", want: "ou-1-root"},
		{name: "by path", ref: "Root/Workloads/Prod", want: "ou-1-prod"},
		{name: "by path without the root", ref: "Sandbox/Prod", want: "ou-1-prod2"},
		{name: "by path with slashes around", ref: "/Root/Sandbox/Prod/", want: "ou-1-prod2"},
		{name: "by a name that is there once", ref: "Workloads", want: "ou-1-workloads"},
		{name: "a name that is a path from the root counts as one", ref: "Sandbox", want: "ou-1-sandbox"},
		{name: "by a name with a slash in it", ref: "a/b", want: "ou-1-slash"},
		{name: "by a name that begins with a slash", ref: "/lead", want: "ou-1-lead"},
		{name: "an id wins over a name that looks like it", ref: "ou-1-prod", want: "ou-1-prod"},
		{name: "by a blank name", ref: " ", want: "ou-1-blank"},
		{name: "by a name that is there twice", ref: "Prod", err: `2 OUs are called "Prod": give one of ou-1-prod (Root/Workloads/Prod), ou-1-prod2 (Root/Sandbox/Prod)`},
		{name: "a typo", ref: "Workload", err: `no OU "Workload" in the organization; nearest: Root/Workloads`},
		{name: "a path that goes astray", ref: "Root/Workloads/Prd", err: `no OU "Root/Workloads/Prd" in the organization; nearest: Root/Workloads/Prod, Root/Sandbox/Prod`},
		{name: "another case is not the name", ref: "workloads", err: `no OU "workloads" in the organization; nearest: Root/Workloads`},
		{name: "nothing like it", ref: "zzzzzzzzzz", err: `no OU "zzzzzzzzzz" in the organization`},
		{name: "an account's number", ref: "300000000001", err: `no OU "300000000001" in the organization`},
		{name: "control characters are quoted", ref: "\x1b[31m\n", err: `no OU "\x1b[31m\n" in the organization`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ou, err := twins().FindOU(tc.ref)
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Fatalf("got  %s, %v\nwant %s", ou.ID, err, tc.err)
				}
				var unknown *orgs.UnknownError
				if strings.HasPrefix(tc.err, "no OU") && !errors.As(err, &unknown) {
					t.Errorf("got a %T", err)
				}
				return
			}
			if err != nil || ou.ID != tc.want {
				t.Errorf("got %s, %v, want %s", ou.ID, err, tc.want)
			}
		})
	}
	for _, ref := range []string{"", "/", "//"} {
		if ou, err := twins().FindOU(ref); err == nil {
			t.Errorf("%q found %s", ref, ou.ID)
		}
	}
}

func TestFindAccount(t *testing.T) {
	for _, tc := range []struct {
		name, ref string
		want      orgs.AccountID
		err       string
	}{
		{name: "by number", ref: "300000000004", want: "300000000004"},
		{name: "by a name that is there once", ref: "shop-prod", want: "300000000004"},
		{name: "a number wins over a name that looks like it", ref: "300000000001", want: "300000000001"},
		{name: "by a name that is there twice", ref: "twin", err: `2 accounts are called "twin": give the account number`},
		{name: "a number that no account has is nobody's name", ref: "999999999999", err: `no account "999999999999" in the organization`},
		{name: "a typo", ref: "shopprod", err: `no account "shopprod" in the organization; nearest: shop-prod`},
		{name: "a name", ref: "zzzzzzzzzzzz", err: `no account "zzzzzzzzzzzz" in the organization`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, err := twins().FindAccount(tc.ref)
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Errorf("got  %v\nwant %s", err, tc.err)
				}
				return
			}
			if err != nil || a.ID != tc.want {
				t.Errorf("got %s, %v, want %s", a.ID, err, tc.want)
			}
		})
	}
}

func TestPlacesInTheTree(t *testing.T) {
	o := twins()
	for n, want := range map[orgs.NodeID]string{
		"r-1": "Root", "ou-1-prod2": "Root/Sandbox/Prod", "ou-1-slash": "Root/a/b", "ou-none": "", "": "",
	} {
		if got := o.PathName(n); got != want {
			t.Errorf("%s: got %q, want %q", n, got, want)
		}
	}
	for _, tc := range []struct {
		n, top orgs.NodeID
		want   bool
	}{
		{"ou-1-prod", "r-1", true},
		{"ou-1-prod", "ou-1-workloads", true},
		{"ou-1-prod", "ou-1-prod", true},
		{"ou-1-workloads", "ou-1-prod", false},
		{"ou-1-prod", "ou-1-sandbox", false},
		{"", "r-1", false},
		{"ou-none", "ou-none", false},
	} {
		if got := o.Under(tc.n, tc.top); got != tc.want {
			t.Errorf("%q under %q: got %v", tc.n, tc.top, got)
		}
	}
	var children []orgs.NodeID
	for _, ou := range o.Children("r-1") {
		children = append(children, ou.ID)
	}
	want := []orgs.NodeID{"ou-1-blank", "ou-1-lead", "ou-1-sandbox", "ou-1-workloads", "ou-1-a", "ou-1-slash", "ou-1-liar"}
	if diff := cmp.Diff(want, children); diff != "" {
		t.Error(diff)
	}
}

func TestATreeThatBitesItsTailEnds(t *testing.T) {
	o := orgs.New("o-loop", "", orgs.PartitionOf("aws"), []orgs.OU{
		{ID: "r-1", Name: "Root", Parent: "r-1"}, {ID: "ou-1-a", Name: "a", Parent: "ou-1-b"}, {ID: "ou-1-b", Name: "b", Parent: "ou-1-a"},
	}, nil)
	if len(o.Path("ou-1-a")) > 3 || o.Under("ou-1-a", "r-1") {
		t.Errorf("got %v", o.Path("ou-1-a"))
	}
	if got := o.Children("r-1"); len(got) != 0 {
		t.Errorf("the root is its own child: %v", got)
	}
	if got := o.Cover(func(orgs.Account) bool { return true }, func(orgs.NodeID) bool { return false }); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestHostileNamesStayAsTheyAre(t *testing.T) {
	spec := scenario(t, "hostile")
	o := load(t, spec)
	names := map[string]string{}
	for _, a := range spec.Accounts {
		names[a.ID] = a.Name
	}
	if len(names) < 10 {
		t.Fatalf("only %d hostile accounts", len(names))
	}
	for id, want := range names {
		if a, ok := o.Account(orgs.AccountID(id)); !ok || a.Name != want || o.PathName(a.Parent) != "Root" {
			t.Errorf("%s: got %q in %q, want %q", id, a.Name, o.PathName(a.Parent), want)
		}
	}
	for ref, want := range map[string]string{
		"../../etc/passwd":          "Root/../../etc/passwd",
		"a/b":                       "Root/../../etc/passwd/a/b",
		"Root/../../etc/passwd/a/b": "Root/../../etc/passwd/a/b",
		"<b>Sandbox</b>":            "Root/<b>Sandbox</b>",
	} {
		ou, err := o.FindOU(ref)
		if err != nil || o.PathName(ou.ID) != want {
			t.Errorf("%q: got %q, %v", ref, o.PathName(ou.ID), err)
		}
	}
	if a, err := o.FindAccount("600000000001"); err != nil || a.ID != "600000000001" {
		t.Errorf("the account that is called by another's number was taken: %s, %v", a.ID, err)
	}
	for _, ref := range []string{"twin", " \x00", "600000000099"} {
		if a, err := o.FindAccount(ref); err == nil {
			t.Errorf("%q found %s", ref, a.ID)
		}
	}
}

package sim

import "testing"

func TestResourcePolicies(t *testing.T) {
	const admin = "arn:aws:iam::" + shopProd + ":role/Admin"
	w := newTestWorld(t, "demo")
	alice := w.RolePrincipal(shopProd, "Admin", "alice")
	service := servicePrincipal(eventsService, shopProd)
	allow := func(rest string) string {
		return `{"Version":"2012-10-17","Id":"with spaces","Statement":[{"Sid":"__odd sid__","Effect":"Allow","Action":"sns:Publish","Resource":"arn:aws:sns:*:*:t",` + rest + `}]}`
	}
	tests := []struct {
		name, policy string
		who          Principal
		want         verdict
	}{
		{"no policy", "", alice, silent},
		{"broken policy", "{", alice, silent},
		{"everybody", allow(`"Principal":"*"`), alice, allows},
		{"everybody, the longer way, and services", allow(`"Principal":{"AWS":"*"}`), service, allows},
		{"an account id", allow(`"Principal":{"AWS":["` + security + `","` + shopProd + `"]}`), alice, allows},
		{"an account's root", allow(`"Principal":{"AWS":"arn:aws:iam::` + shopProd + `:root"}`), alice, allows},
		{"the root of another account", allow(`"Principal":{"AWS":"arn:aws:iam::` + security + `:root"}`), alice, silent},
		{"a role stands for its sessions", allow(`"Principal":{"AWS":"` + admin + `"}`), alice, allows},
		{"one session", allow(`"Principal":{"AWS":"arn:aws:sts::` + shopProd + `:assumed-role/Admin/alice"}`), alice, allows},
		{"another session", allow(`"Principal":{"AWS":"arn:aws:sts::` + shopProd + `:assumed-role/Admin/bob"}`), alice, silent},
		{"no wildcards in an ARN", allow(`"Principal":{"AWS":"arn:aws:iam::` + shopProd + `:role/*"}`), alice, silent},
		{"a service", allow(`"Principal":{"Service":["sns.amazonaws.com","events.amazonaws.com"]}`), service, allows},
		{"another service", allow(`"Principal":{"Service":"sns.amazonaws.com"}`), service, silent},
		{"a service is not the account's principal", allow(`"Principal":{"AWS":"` + shopProd + `"}`), service, silent},
		{"NotPrincipal", allow(`"NotPrincipal":{"AWS":"` + security + `"}`), alice, allows},
		{"a condition that holds", allow(`"Principal":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:events:*:*:rule/*"}}`), service, allows},
		{"a condition that does not", allow(`"Principal":"*","Condition":{"StringEquals":{"aws:SourceAccount":"` + security + `"}}`), service, silent},
		{"another action", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sns:Subscribe","Resource":"*"}}`, alice, silent},
		{"deny wins", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":{"AWS":"` + admin + `"},"Action":"sns:*","Resource":"*"}]}`, alice, denies},
		{"a deny alone", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sns:*","Resource":"*"}]}`, service, denies},
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	ctx := w.serviceContext(eventsService, shopProd, "arn:aws:events:ap-northeast-1:"+shopProd+":rule/r", noon)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // the second time from the cache
				got := w.judge(tt.policy, policyRequest{tt.who, "sns:Publish", "arn:aws:sns:ap-northeast-1:" + shopProd + ":t", ctx})
				if got != tt.want {
					t.Errorf("verdict %d, want %d", got, tt.want)
				}
			}
		})
	}
}

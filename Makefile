# orgguard. "make check" is what CI runs; "make help" lists the rest.

GO       = go
VERSION  = `git describe --tags --always --dirty 2>/dev/null || echo dev`
FUZZTIME = 10s
MUTANTS  = -max 220 -budget 15m
BENCH    = default
GOBENCH  = .

GOLANGCI_VERSION = 2.15.0
GOLANGCI         = bin/golangci-lint
GOLANGCI_MODULE  = github.com/golangci/golangci-lint/v2/cmd/golangci-lint
CFNLINT          = cfn-lint
CFNLINT_VERSION  = 1.51.0

# A template on disk is a part of one that is deployed: what it refers to may be in
# another part (E1010, E1020, E3005). The templates as they are rendered get every
# rule.
CFNLINT_PARTS = --ignore-checks E1010 E1020 E3005

.PHONY: help build demo demo-schedule test check tidy fmt fmt-check vet lint templates rendered combinations permissions race bench bench-audit fuzz mutate tools clean

help:
	@echo 'build      bin/orgguard'
	@echo 'demo       a rollout, tampering and an audit on the simulated organization'
	@echo 'demo-schedule  the audit that runs by itself, from its installation to its removal'
	@echo 'test       all tests'
	@echo 'check      what CI runs: tidy, format, vet, lint, templates, tests, and again with -race'
	@echo 'lint       golangci-lint alone (make tools installs it)'
	@echo 'templates  cfn-lint alone'
	@echo 'fmt        format the code'
	@echo 'bench      benchmarks, kept in bench.txt and bench.json'
	@echo 'fuzz       every fuzz test for FUZZTIME=10s'
	@echo 'mutate     mistakes made in the policy evaluator that no test notices: a quarter of an hour'
	@echo 'tools      install what is written in Go and missing, into bin/'
	@echo 'clean      remove what was built'

build:
	@mkdir -p bin
	@$(GO) build -ldflags "-X main.version=$(VERSION)" -o bin/orgguard ./cmd/orgguard

demo: build
	@PATH="$$PWD/bin:$$PATH" sh cmd/orgguard/testdata/demo.sh

demo-schedule: build
	@PATH="$$PWD/bin:$$PATH" sh cmd/orgguard/testdata/demo_schedule.sh

test:
	@echo '== go test'
	@$(GO) test -timeout 20m ./...

check: tidy fmt-check vet lint templates test race

tidy:
	@echo '== go mod tidy, verify'
	@$(GO) mod tidy -diff
	@$(GO) mod verify

fmt-check:
	@echo '== gofmt'
	@files=`gofmt -l .` && if [ -n "$$files" ]; then \
		echo "$$files"; echo 'not formatted: make fmt' >&2; exit 1; \
	fi

fmt:
	@gofmt -w .

vet:
	@echo '== go vet'
	@$(GO) vet ./...

lint:
	@echo '== golangci-lint'
	@if [ "`$(GOLANGCI) version --short 2>/dev/null`" != '$(GOLANGCI_VERSION)' ]; then \
		echo '$(GOLANGCI) $(GOLANGCI_VERSION) is not installed: make tools (three minutes)' >&2; exit 1; \
	fi
	@$(GOLANGCI) run ./...

templates:
	@echo '== cfn-lint'
	@if ! command -v $(CFNLINT) >/dev/null; then \
		echo "$(CFNLINT) is not installed: pip install 'cfn-lint==$(CFNLINT_VERSION)'" >&2; exit 1; \
	fi
	@$(CFNLINT) $(CFNLINT_PARTS) -- baseline/templates/*.yaml
	@$(MAKE) -s rendered combinations

rendered: build
	@rm -rf bin/templates && mkdir -p bin/templates
	@for mode in central local overrides-central overrides-local; do \
		bin/orgguard render --all --config cmd/orgguard/testdata/render-$$mode.yaml --output-dir bin/templates/$$mode || exit 1; \
	done
	@for control in config-delivery ssh-restricted default-sg-closed detective-guardrails admin-roles unauthorized-alert health-alert; do \
		bin/orgguard render --quiet --control $$control --single-account --output-dir bin/templates/single || exit 1; \
	done
	@for engine in github-actions gitlab lambda stepfunctions; do \
		bin/orgguard schedule render --quiet --for $$engine --output-dir bin/templates/schedule || exit 1; \
	done
	@bin/orgguard schedule render --quiet --for batch --image registry.example.com/orgguard:1 --output-dir bin/templates/schedule
	@files=`find bin/templates -name '*.yaml' -o -name '*.template.json'`; \
	if [ -z "$$files" ]; then echo 'orgguard render wrote no template' >&2; exit 1; fi; \
	$(CFNLINT) -- $$files

# Every template that some choice of controls makes, through cfn-lint.
combinations:
	@rm -rf bin/combinations && mkdir -p bin/combinations
	@$(GO) test -count=1 -run '^TestEveryCombinationRenders$$' ./baseline -rendered "$$PWD/bin/combinations"
	@if [ `ls bin/combinations | wc -l` -lt 50 ]; then echo 'too few templates were written' >&2; exit 1; fi
	@$(CFNLINT) -- bin/combinations/*.yaml

# The README's table of permissions, from the code.
permissions:
	@$(GO) test -run TestTheReadmeListsThePermissions ./cmd/orgguard -update-readme

race:
	@echo '== go test -race'
	@$(GO) test -race -short -timeout 40m ./...

# The output goes through a file, not a pipe: a pipe would lose the exit code.
bench: build
	@$(GO) test -run '^$$' -bench '$(GOBENCH)' -benchmem ./... >bench.txt 2>&1; code=$$?; cat bench.txt; exit $$code
	@$(MAKE) -s bench-audit

# Audits over HTTP. BENCH names parts of it: cell,main,large …
bench-audit: build
	@$(GO) build -o bin/bench ./cmd/orgguard/testdata/bench
	@bin/bench -orgguard bin/orgguard -parts '$(BENCH)' -json bench.json >bench-audit.txt 2>&1; code=$$?; cat bench-audit.txt; \
		cat bench-audit.txt >>bench.txt; rm -f bench-audit.txt; exit $$code

# go test fuzzes one test of one package at a time.
fuzz:
	@set -e; packages=`$(GO) list ./...`; \
	for package in $$packages; do \
		list=`$(GO) test -list '^Fuzz' $$package`; \
		for test in `echo "$$list" | grep '^Fuzz' || true`; do \
			echo "== $$package $$test"; \
			$(GO) test -run '^$$' -fuzz "^$$test\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

mutate:
	@$(GO) run ./scp/testdata/mutate $(MUTANTS)

tools:
	@if [ "`$(GOLANGCI) version --short 2>/dev/null`" != '$(GOLANGCI_VERSION)' ]; then \
		echo '== install golangci-lint $(GOLANGCI_VERSION)'; mkdir -p bin; \
		GOBIN="$$PWD/bin" $(GO) install $(GOLANGCI_MODULE)@v$(GOLANGCI_VERSION); \
	fi

clean:
	@rm -rf bin/orgguard bin/bench bin/templates bench.txt bench.json coverage.*

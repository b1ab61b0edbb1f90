# make            what there is to do
# make demo       the whole product against a real Alertmanager, in one terminal
# make test       everything that proves it, with one line of totals at the end
#
# Each target works from a fresh clone: what it needs is installed and built first.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Recipes run with the project's own tools and folders.
ENV := . .ci/env;

.PHONY: help setup build demo bench test test-core test-pg test-regress test-isolation test-server docs update-script chaos alert-chaos anomaly-quality prediction-quality tenant-leak check clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: ## install what is missing: packages, toolchain, cargo-pgrx (seconds when all is there)
	@.ci/setup

build: setup ## build the extension for release into target/stage
	@.ci/build

demo: build ## show it at work: TRACE=file.csv replays a recorded trace, DEMO_ARGS=--help tells more
	@$(ENV) cargo run --release --quiet -p costsim_demo -- $(if $(TRACE),--trace $(TRACE)) $(DEMO_ARGS)

bench: build ## measure it on this machine
	@$(ENV) cargo run --release --quiet -p costsim_bench -- $(BENCH_ARGS)

update-script: build ## write sql/costsim_pg--OLD--NEW.sql from the last release to what was built; see docs/releasing.md
	@$(ENV) .ci/make-update-script

test: ## run the five kinds of tests below, then print the totals
	@.ci/test

test-core: setup ## the decisions alone, without PostgreSQL
	@$(ENV) cargo test -p costsim_core --no-fail-fast

test-pg: setup ## the tests inside the server; T=name runs those whose name contains it
	@tests/pg_test.sh $(T)

test-regress: build ## the SQL contract: every file in tests/pg_regress/sql
	@tests/regress.sh pg_regress $(T)

test-isolation: build ## races, step by step: every file in tests/isolation/specs
	@tests/regress.sh isolation $(T)

# Most of a test's time is waiting for servers, so more of them run at once than there are cores.
test-server: build ## whole servers: crash, restart, worker, Alertmanager
	@$(ENV) RUST_TEST_THREADS=$${RUST_TEST_THREADS:-3} cargo test -p costsim_harness -p costsim_server_tests --no-fail-fast -- $(T)

docs: build ## write docs/sql.md, docs/settings.md, the table of docs/metrics.md and the pictures of docs/operations.md anew
	@$(ENV) COSTSIM_WRITE_DOCS=1 cargo test -p costsim_server_tests --test docs_reference
	@$(ENV) COSTSIM_WRITE_DOCS=1 cargo test -p costsim_server_tests --test metrics -- manual

chaos: build ## leaders under pauses, kills and crashes for SECONDS=600, with figures in docs/evidence
	@$(ENV) COSTSIM_CHAOS_SECONDS=$(or $(SECONDS),600) COSTSIM_CHAOS_EVIDENCE=docs/evidence \
		cargo test -p costsim_server_tests --test leader_chaos -- --nocapture

alert-chaos: build ## alerts under crashes and kills for ROUNDS=100 of each kind of session, with figures in docs/evidence
	@$(ENV) COSTSIM_ALERT_ROUNDS=$(or $(ROUNDS),100) COSTSIM_ALERT_EVIDENCE=docs/evidence \
		cargo test -p costsim_server_tests --test alert_crash -- --nocapture

anomaly-quality: build ## what detection is worth on ROUNDS=10 sets of made-up tenants, with figures in docs/evidence
	@$(ENV) COSTSIM_ANOMALY_ROUNDS=$(or $(ROUNDS),10) COSTSIM_ANOMALY_EVIDENCE=docs/evidence \
		cargo test -p costsim_server_tests --test anomaly_quality -- --nocapture

prediction-quality: setup ## what predictions are worth on ROUNDS=1 sets of made-up workers, with figures in docs/evidence
	@$(ENV) COSTSIM_PREDICTION_ROUNDS=$(or $(ROUNDS),1) COSTSIM_PREDICTION_EVIDENCE=$$PWD/docs/evidence \
		cargo test -p costsim_core --test prediction_quality -- --nocapture --test-threads 1

tenant-leak: build ## two tenants and OPS=100000 random operations, of which none may tell one of the other, with figures in docs/evidence
	@$(ENV) COSTSIM_LEAK_OPERATIONS=$(or $(OPS),100000) COSTSIM_LEAK_EVIDENCE=docs/evidence \
		cargo test -p costsim_server_tests --test tenant_leak -- --nocapture

check: setup ## format, lints, dependencies
	@.ci/setup --ci
	@$(ENV) cargo fmt --all --check
	@$(ENV) cargo clippy --workspace --all-targets -- -D warnings
	@.ci/deny

clean: ## remove what was built, keep what setup installed
	@rm -rf target

# Every target does its own set-up; `make` alone lists them. Options for the program behind a
# target go into ARGS: make test-unit ARGS="-k placement".

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
bin := .venv/bin
ARGS ?=

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup ## Tour: one application in four regions, overrides, a region that dies and returns
	@$(bin)/orrery demo $(ARGS)

.PHONY: playground
playground: setup ## Start a hub, the operator and four regions on this machine, and leave them running
	@$(bin)/orrery playground up $(ARGS)

.PHONY: setup
setup: ## Make .venv with all that development needs, from the lock; free when it is up to date
	@tools/setup

.PHONY: test
test: setup ## Run all tests that can run here, and say which cannot
	$(bin)/pytest $(ARGS)

.PHONY: test-unit
test-unit: setup ## Run the tests that need no server, and no network beyond loopback
	$(bin)/pytest tests/unit $(ARGS)

.PHONY: test-world
test-world: setup ## Run the reconcilers on regions in memory
	$(bin)/pytest tests/world $(ARGS)

.PHONY: test-sweep
test-sweep: setup ## Kill the operator at every write, on real servers, and at every pair, in memory
	ORRERY_SWEEP=full $(bin)/pytest tests/world/crashes tests/faults/test_crash_sweep_real.py $(ARGS)

.PHONY: test-strength
test-strength: setup ## Plant bugs, one at a time, and see that the fast tests find each of them
	ORRERY_STRENGTH=1 $(bin)/pytest tests/strength $(ARGS)

.PHONY: test-contract
test-contract: setup ## Hold the simulated region to a real Nomad, where there is one
	$(bin)/pytest tests/contract $(ARGS)

.PHONY: test-integration
test-integration: setup ## Run the operator on a real API server
	$(bin)/pytest tests/integration $(ARGS)

.PHONY: test-e2e
test-e2e: setup ## Keep the promises, one file each, on a playground
	$(bin)/pytest tests/e2e $(ARGS)

.PHONY: test-real
test-real: setup ## Take over 600 jobs, freeze a leader for long, on real Nomads
	ORRERY_REAL=full $(bin)/pytest tests/e2e/test_adoption_nomad.py tests/e2e/test_leader_faults.py $(ARGS)

.PHONY: test-faults
test-faults: setup ## Break the hub, the regions, the ways to them and the operator, and see it mend; at length
	ORRERY_FAULTS=full $(bin)/pytest tests/faults $(ARGS)

.PHONY: fmt
fmt: setup ## Format the sources and mend what can be mended without thought
	$(bin)/ruff check --fix-only .
	$(bin)/ruff format .

.PHONY: lint
lint: setup ## Check style and spelling
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/codespell

.PHONY: type
type: setup ## Check the types of the package and of the tests
	$(bin)/mypy
	$(bin)/mypy tests

.PHONY: contracts
contracts: setup ## Check which module may import which
	$(bin)/lint-imports

.PHONY: generate
generate: setup ## Write what is generated from the API types
	$(bin)/orrery generate $(ARGS)

.PHONY: verify
verify: setup ## Check that what is generated is up to date
	$(bin)/orrery generate --check

.PHONY: docs
docs: generate ## Write the reference pages, and check links and commands on all pages
	$(bin)/pytest tests/unit/test_house.py -k "pages or links"

.PHONY: bench
bench: setup ## Measure the fan-out against its limits and peers, in minutes; ARGS=--full: in hours
	@$(bin)/python -m benchmarks.fanout $(ARGS)

.PHONY: lock
lock: setup ## Write both lock files; UPGRADE=1 takes the newest versions that pyproject.toml allows
	@tools/lock

.PHONY: clean
clean: ## Remove what tools leave behind; .venv and the built servers stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: check
check: ## Run what CI runs, in its order
	@.ci/run

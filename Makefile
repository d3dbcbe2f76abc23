# One word for each thing; `make` alone prints them. Nothing has to be done before any of them.

PYTHON ?= python3
BIN    := .venv/bin
READY  := .venv/.ready
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup test all unit lint demo bench bench-peers simulate matrix draw test-containers lock lock-peers clean python servers

help: ## print these words
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r word sentence; do printf '%-24s %s\n' "$$word" "$$sentence"; done

setup: $(READY) ## make .venv and install; again only when the lock or pyproject.toml has changed
	@echo "Ready. Next: make demo, make unit, make lint, make test."

# CI=true makes a test whose server can't be had fail, where a bare pytest would skip it.
test: export CI = true
test: lint servers ## everything that CI runs: lint and all tests, on real Kafka and PostgreSQL too
	$(PYTEST) -n 2 tests/unit tests/contract tests/simulation
	$(PYTEST) tests/integration tests/e2e

all: test ## the same as test

unit: $(READY) ## the tests that need no server
	$(PYTEST) tests/unit

lint: $(READY) ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

demo: $(READY) ## the main job on the embedded log, in under a minute
	$(BIN)/python -m regente.demo

bench: servers ## the service beside the lean pipeline, in the same run (LINE=backlog: that measure alone)
	$(BIN)/python -m bench $(LINE)

bench-peers: servers ## what others offer, beside the service in the same run
	$(BIN)/python -m bench.peers

simulate: $(READY) ## faults drawn from a seed: SEED=n repeats one, SEEDS=n tries that many
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS))

matrix: $(READY) ## every operation, step, victim, trouble and moment: CELL=… repeats one, SAMPLE=n takes so many, OPERATION=… one
	$(BIN)/python -m tests.simulation --matrix $(if $(CELL),--cell '$(CELL)') $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(OPERATION),--operation $(OPERATION))

draw: $(READY) ## the diagrams in docs/diagrams, from the tables
	$(BIN)/regente machine draw --all docs/diagrams

test-containers: $(READY) ## contract, integration and end-to-end tests on servers in containers
	REGENTE_TEST_TIER=containers $(PYTEST) tests/contract tests/integration tests/e2e

# pip-tools is wanted here only, so it stays out of the lock that it writes.
lock-peers: $(READY) ## write the lock files of bench/peers again from their .in files
	$(BIN)/python -m pip install --quiet 'pip-tools>=7.5'
	for peer in quix eventsourcing dbos nova; do $(BIN)/python -m piptools compile --quiet --strip-extras --allow-unsafe \
	  --generate-hashes --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --output-file bench/peers/$$peer.txt bench/peers/$$peer.in; done

lock: $(READY) ## write requirements/dev.txt again from pyproject.toml (UPGRADE=1 takes newer versions)
	$(BIN)/python -m pip install --quiet 'pip-tools>=7.5'
	$(BIN)/python -m piptools compile $(if $(UPGRADE),--upgrade) --quiet --all-extras --strip-extras \
	  --generate-hashes --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --no-build-isolation --output-file requirements/dev.txt pyproject.toml

clean: ## remove .venv, caches and what Regente stored here
	rm -rf .venv .cache .regente .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything that is downloaded has a hash: wheels only, for building a library would fetch its tools unhashed;
# and hatchling is in the lock, so that building ourselves fetches nothing.
$(READY): pyproject.toml requirements/dev.txt
	@test -x $(BIN)/python || { $(MAKE) --no-print-directory -s python && $(PYTHON) -m venv .venv; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  found=$$($(PYTHON) --version 2>/dev/null) || found=absent; \
	  echo "Expected $(PYTHON) to be Python 3.11 or newer, but it is $$found: install one, or name it: make PYTHON=python3.11 …" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Expected $(PYTHON) to have the module venv, but it is absent: install it (Debian, Ubuntu: python3-venv)." >&2; exit 2; }

servers: $(READY)
	@{ command -v java && command -v mvn || docker info; } >/dev/null 2>&1 || { \
	  echo "Expected java (17 or newer) and mvn, which fetch and run Apache Kafka for the tests, or a Docker daemon, but neither is here: install both (Debian, Ubuntu: openjdk-17-jre-headless and maven), or Docker." >&2; exit 2; }

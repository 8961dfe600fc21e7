# Prediction On-Call: every command. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help run dashboard test test-fast coverage check hooks fix settings doctor oncall audit faults mutants bench bench-sandbox bench-pages bench-peers bench-cost bench-scale watching pictures lighthouse apply-rehearsal lock chromium clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COVERAGE_TESTS ?= tests/unit
# As in the Dockerfile: the memory of a process with many threads.
export MALLOC_ARENA_MAX ?= 2

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(READY): requirements.txt requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: install python3, or set PYTHON=/path/to/python."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Set PYTHON=/path/to/python."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-dev.txt
	$(BIN)/python -m services.sandbox.bigquery.googlesql
	@touch $@

run: $(READY) ## the sandbox with the night of 29 December, and the dashboard on http://127.0.0.1:8501 (SCENARIO=season: a whole season; customer: the customer's own services)
	@exec $(BIN)/python -m services.sandbox

dashboard: $(READY) ## the dashboard alone, against what the environment names (real Google Cloud by default)
	@exec $(BIN)/python -m app.server

test: $(READY) chromium ## every test, the browser's included
	$(BIN)/python -m pytest -n 3 --dist loadfile $(PYTEST_ARGS)

test-fast: $(READY) ## the tests that need no sandbox (tests/unit), in under a minute
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/unit $(PYTEST_ARGS)

coverage: $(READY) ## line and branch coverage of tests/unit against the floor in pyproject.toml (COVERAGE_TESTS=tests for all)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(COVERAGE_TESTS) --cov --cov-report=term $(PYTEST_ARGS)

check: $(READY) ## format, lint, types, layer contracts, security; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app pages services deploy
	@$(BIN)/python -m tests.tools.security_audit

fix: $(READY) ## format, and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

hooks: $(READY) ## run the checks of `make check` before every commit (git hook by pre-commit)
	$(BIN)/pre-commit install

settings: $(READY) ## every setting with its value, its default and its meaning
	@$(BIN)/python -m services.policy.settings_table

doctor: $(READY) ## which connections work, and the command that fixes each that does not; changes nothing
	@$(BIN)/python -m services.doctor

oncall: $(READY) ## write .venv/bin/oncall: every reading and action from the terminal (docs/cli.md)
	@printf '%s\n' '#!/bin/sh' 'exec "$(abspath $(BIN))/python" -P -c "import sys; sys.path.insert(0, \"$(CURDIR)\"); from services.cli.__main__ import main; main()" "$$@"' > $(BIN)/oncall
	@chmod +x $(BIN)/oncall
	@echo 'Written: $(abspath $(BIN))/oncall. Completion: eval "$$($(abspath $(BIN))/oncall completion bash)"'

audit: $(READY) ## known vulnerabilities in pinned packages; reports and passes where the advisory service is unreachable
	@$(BIN)/python -m tests.tools.security_audit

faults: $(READY) ## the write path under crashes, repeats and races, beside direct MERGE statements
	$(BIN)/python -m tests.tools.fault_survey
	$(BIN)/python -m tests.tools.alarm_survey

mutants: $(READY) ## small faults put into the write path one at a time: how many turn a fast test red (MODULES=services/pipeline/lease.py)
	@$(BIN)/python -m tests.tools.mutants $(MODULES)

bench: $(READY) ## calls, quotas, bytes and time of the write path at 158 to 158,000 players beside other ways; exit 1 for a limit not met
	@$(BIN)/python -m tests.tools.benchmarks

watching: $(READY) ## how soon the watchdog notifies, and what an hour of checks reads and bills
	$(BIN)/python -m tests.tools.watchdog_benchmark

apply-rehearsal: $(READY) ## first apply, second apply, upgrade and undo by the real gcloud and bq, against a control plane on this machine
	@$(BIN)/python -m tests.tools.control_plane.rehearsal

pictures: $(READY) chromium ## the README's gallery and its recording, anew from a sandbox of its own into docs/
	@$(BIN)/python -m tests.tools.pictures

bench-sandbox: $(READY) ## memory and CPU of the sandbox itself: 1,580 players staged, copied, dropped (PLAYERS=1580, SCENARIO=december)
	@$(BIN)/python -m tests.tools.benchmarks.sandbox_memory $(PLAYERS)

bench-pages: $(READY) chromium ## every page beside a blank and two plain Streamlit pages (RUNS=5, PAGES=overview,coverage, LATENCY=200)
	@$(BIN)/python -m tests.tools.benchmarks.pages

bench-peers: $(READY) chromium ## our pages beside Dagster, Prefect and Airflow 3, installed once into a cache (RUNS=5, PEERS=Dagster, PEERS_DIR=folder)
	@$(BIN)/python -m tests.tools.benchmarks.peers

bench-cost: $(READY) ## what viewing costs by the sandbox's meter: a tour, again, 1 and 50 viewers, a change (MINUTES=2)
	@$(BIN)/python -m tests.tools.benchmarks.viewing_cost

bench-scale: $(READY) ## every page on a season beside the fortnight, 20 viewers at once, an hour's refreshes (RUNS=5, REFRESHES=120)
	@$(BIN)/python -m tests.tools.benchmarks.season

lighthouse: ## accessibility and layout shift of a running dashboard by Lighthouse 12 (LIGHTHOUSE_URL; npx and Chromium)
	CHROME_PATH=$${CHROMIUM:-/usr/bin/chromium} npx --yes lighthouse@12 "$${LIGHTHOUSE_URL:-http://127.0.0.1:8501/?date=2025-12-29}" --preset=desktop --quiet \
	  --chrome-flags="--headless --no-sandbox" --only-categories=accessibility,performance --output=html --output-path=artifacts/lighthouse.html

lock: ## write requirements*.txt anew from pyproject.toml (needs uv: pip install uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header -o requirements.txt
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header -o requirements-dev.txt

chromium: ## the browser of the browser tests, from Debian, where it is missing
	@command -v chromium >/dev/null || { \
		echo "Installing Debian's chromium for the browser tests."; \
		SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core fonts-noto-color-emoji; }

clean: ## remove the environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* artifacts mutants

# ISM: `make` lists what can be done.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install run test test-all test-wheel check format docs audit release bench clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ISM needs Python 3.11 or newer. Name one: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "Could not make $(VENV). On Debian and Ubuntu: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: $(VENV)/.dev ## a virtual environment in .venv with everything, at pinned versions

run: $(VENV)/.run ## start the system on http://127.0.0.1:5001 with the demonstration market
	$(BIN)/ism serve

test: $(VENV)/.dev ## all tests but the slow ones
	@sh tools/browser.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-all: $(VENV)/.dev ## all tests
	@sh tools/browser.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-wheel: $(VENV)/.dev ## the tests of the specification, on the wheel installed in a clean environment
	$(BIN)/python tools/spec_from_wheel.py

check: $(VENV)/.dev ## style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## the documentation as a site, in site/
	$(BIN)/python -m mkdocs build --strict --clean

audit: $(VENV)/.dev ## known vulnerabilities of the pinned libraries (asks osv.dev)
	$(BIN)/python tools/audit.py

release: $(VENV)/.dev ## wheel, sources, bill of materials and sums in dist/, tried in a clean environment and audited
	$(BIN)/python tools/release.py

bench: $(VENV)/.dev ## run every benchmark and write docs/benchmarks.md (needs the public data sets)
	$(BIN)/python -m bench maestri
	$(BIN)/python -m bench tri
	$(BIN)/python -m bench calrecycle
	$(BIN)/python -m bench fusion
	$(BIN)/python -m bench latency
	$(BIN)/python -m bench start
	$(BIN)/python -m bench graph
	$(BIN)/python -m bench ingest
	$(BIN)/python -m bench federated
	$(BIN)/python -m bench pages
	$(BIN)/python -m bench monitoring
	$(BIN)/python -m bench tuning
	$(BIN)/python -m bench retraining
	$(BIN)/python -m bench simulation
	$(BIN)/python -m bench backup
	$(BIN)/python -m bench load

clean: ## remove the environment and caches, never data
	rm -rf $(VENV) .own site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info

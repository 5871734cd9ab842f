# One-word targets. `make` alone lists them.
# PYTHON chooses the interpreter, VENV the folder of the virtual environment, BENCH the folder of the benchmark's captures,
# FIDELITY the folder of what `make fidelity` records and finds.

VENV   ?= .venv
BENCH  ?= /tmp/wirecase-bench
FIDELITY ?= /tmp/wirecase-fidelity
BIN    := $(VENV)/bin
CHECKED := cli decoders tests fixtures

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format types imports fuzz man zipapp readme pages bench proxybench soak fidelity sees full clean matrix

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/ready ## make the virtual environment

# The newest Python at hand that is new enough and can make virtual environments. An environment that is not ours is left
# alone: installing into it would change the versions that others rely on.
$(VENV)/ready: pyproject.toml
	@set -e; \
	if [ -e $(VENV)/pyvenv.cfg ] && [ ! -e $(VENV)/made-by-make ]; then \
		echo "$(VENV) was not made by this Makefile and is left alone: choose another VENV" >&2; \
		exit 1; \
	fi; \
	for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3; do \
		command -v "$$python" >/dev/null || continue; \
		"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		echo "using $$("$$python" --version) ($$python)"; \
		"$$python" -m venv $(VENV); \
		touch $(VENV)/made-by-make; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'; \
		touch $@; \
		exit 0; \
	done; \
	echo "no Python 3.11 or later with venv was found: install one (Debian: apt-get install python3-venv), or set PYTHON" >&2; \
	exit 1

$(VENV)/ready-dev: $(VENV)/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup ## diagnose the incident that ships with the project
	@$(BIN)/wirecase diagnose --fail-on never fixtures/incident/capture.pcapng

test: setup ## run the tests
	@$(BIN)/python -m pytest -q

lint: $(VENV)/ready-dev ## ruff: lint and format
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/ruff format --check $(CHECKED)

format: $(VENV)/ready-dev ## let ruff format
	@$(BIN)/ruff check --fix-only $(CHECKED)
	@$(BIN)/ruff format $(CHECKED)

types: $(VENV)/ready-dev ## mypy, strict
	@$(BIN)/mypy

imports: $(VENV)/ready-dev ## import-linter: which room may import which
	@$(BIN)/lint-imports --no-cache

fuzz: setup ## mutate the fixtures for a short while
	@WIRECASE_FUZZ_SECONDS=30 $(BIN)/python -m pytest -q tests/fuzz

man: setup ## write the manual page
	@$(BIN)/python tests/cli/test_manual.py

zipapp: setup ## one file, dist/wirecase.pyz, that runs where this Python does
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check shiv
	@mkdir -p dist
	@$(BIN)/shiv --quiet --compressed --reproducible --console-script wirecase --output-file dist/wirecase.pyz .
	@ls -l dist/wirecase.pyz

readme: setup ## write the tool's own words into the README
	@$(BIN)/python tests/cli/test_readme.py

pages: setup ## write the rules' pages
	@$(BIN)/python tests/explaining/test_rule_pages.py

bench: $(VENV)/ready ## compare speed and memory with tshark (ten minutes, 1.3 GB in BENCH)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@test -e $(BENCH)/tiny.json || $(BIN)/python tests/benchmarks/generate.py $(BENCH)
	@$(BIN)/python tests/benchmarks/compare.py $(BENCH)

proxybench: setup ## compare the recording proxy with haproxy (five minutes)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@$(BIN)/python tests/benchmarks/proxy.py

soak: setup ## the flight recorder under real traffic and random faults (half an hour)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	@$(BIN)/python tests/soak/soak.py --minutes 31

fidelity: setup ## compare replays with live sessions of real clients (half an hour; root, tcpdump and the clients' compilers)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	@$(MAKE) --no-print-directory --keep-going -C fixtures/clients build || echo "clients that could not be built are left out"
	@$(BIN)/python tests/fidelity/run.py --output $(FIDELITY)

sees: setup ## compare what findings say that clients see with what they say (a quarter of an hour; as fidelity)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	@$(MAKE) --no-print-directory --keep-going -C fixtures/clients build grpclib PYTHON="$(abspath $(BIN)/python)" \
		|| echo "clients that could not be built are left out"
	@$(BIN)/python tests/fidelity/run_sees.py --output $(FIDELITY)

matrix: setup ## run the driver clients through the gauntlet, write the results and the pages (half an hour; their compilers)
	@$(MAKE) --no-print-directory --keep-going -C fixtures/clients build python PYTHON="$(abspath $(BIN)/python)" || echo "clients that could not be built keep their old rows"
	@$(BIN)/python fixtures/clients/matrix.py

full: lint types imports zipapp test fidelity sees soak ## everything, with long fuzzing
	@WIRECASE_FUZZ_SECONDS=600 $(BIN)/python -m pytest -q tests/fuzz

clean: ## remove what was made
	@if [ -e $(VENV)/made-by-make ]; then rm -rf $(VENV); fi
	@rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find $(CHECKED) -name __pycache__ -type d -prune -exec rm -rf {} +

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
EXTRAS := cli,excel
ALL_EXTRAS := cli,dlt,excel,keyring,otel,redis,speed
STAMP := $(VENV)/.installed
SPREAD := -n auto --dist worksteal
CORE := tests/schema tests/wire tests/auth tests/transport tests/bulk tests/test_client.py
VERSIONS := 3.11 3.12 3.13
TOGETHER := -j $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
RELEASE := $(VENV)/.release
BENCH := $(VENV)-bench

.DEFAULT_GOAL := help
.PHONY: help docs demo examples live test quick soak lint types mypy pyright specs unit pythons lowest generate licences hooks dist bench bench-check clean

## help: this list
help:
	@awk '/^## /{ at = index($$0, ": "); printf "make %-11s %s\n", substr($$0, 4, at - 4), substr($$0, at + 2) }' Makefile

## demo: push 5,000 contacts to a fake Zoho on this machine, pull them back, compare every field
demo: $(STAMP)
	$(PY) -m demo

## examples: run every program in examples/ against a fake Zoho on this machine, under three minutes
examples: $(STAMP)
	$(PY) -m examples

## live: ask a trial organisation of yours what Zoho's documents leave open; needs ZOHO_LIVE=yes (docs/live.md)
live: $(STAMP)
	$(PY) -m tests.live $(LIVE)

## quick: lint and the fast tests, under a minute on two cores
quick: lint
	$(PY) -m pytest -q $(SPREAD) --hypothesis-profile=quick

## test: all that CI runs: lint, generated code, types and tests, under six minutes on two cores
test: $(STAMP)
	@$(MAKE) --no-print-directory $(TOGETHER) lint specs mypy pyright
	@$(MAKE) --no-print-directory unit

## soak: every test with many random examples and the big kills; takes long
soak: $(STAMP)
	$(PY) -X dev -m pytest -q $(SPREAD) --hypothesis-profile=soak --timeout=3600

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "zoho_async needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) 'pip>=25.1'  # the first that knows dependency groups
	$(PIP) --editable '.[$(EXTRAS)]' --group dev
	@touch $(STAMP)

## lint: ruff, rules and format
lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

## specs: whether the generated code is what specs/ says
specs: $(STAMP)
	$(PY) -m codegen --check

## types: mypy and pyright, both strict
types: mypy pyright

## mypy: mypy alone
mypy: $(STAMP)
	$(PY) -m mypy

## pyright: pyright alone
pyright: $(STAMP)
	$(PY) -m pyright

## unit: the tests of `make test` alone
unit: $(STAMP)
	$(PY) -X dev -m pytest -q $(SPREAD)

## pythons: the core's tests under each supported Python that is installed
pythons: $(VERSIONS:%=python-%)

python-%:
	@for python in python$* $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$*.*/bin/python; do \
		"$$python" -c '' 2>/dev/null && break; python=; \
	done; \
	if [ -z "$$python" ]; then echo "Python $*: not found, not tried"; exit 0; fi; \
	set -ex; \
	"$$python" -m venv $(VENV)-$*; \
	$(VENV)-$*/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'; \
	$(VENV)-$*/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]' --group test; \
	$(VENV)-$*/bin/python -X dev -m pytest -q $(SPREAD) --hypothesis-profile=quick $(CORE)

## lowest: tests of the core and the commands with the lowest dependencies that pyproject.toml allows
lowest:
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*project["dependencies"], *project["optional-dependencies"]["cli"], sep="\n")' \
	| sed 's/>=/==/' > $(VENV)-lowest/constraints.txt
	$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]' --group test --constraint $(VENV)-lowest/constraints.txt
	$(VENV)-lowest/bin/python -m pytest -q $(SPREAD) $(CORE) tests/cli

## generate: write the generated code from specs/
generate: $(STAMP)
	$(PY) -m codegen
	$(PY) docs/make_columns.py
	$(PY) docs/make_map.py

## docs: the documentation as pages, in site/
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

## licences: write docs/reference/licences.md from the packages of an environment with all extras
licences:
	$(PYTHON) -m venv $(VENV)-licences
	$(VENV)-licences/bin/python -m pip install --quiet --disable-pip-version-check packaging '.[$(ALL_EXTRAS)]'
	$(VENV)-licences/bin/python tools/licences.py

## hooks: check every commit with pre-commit
hooks: $(STAMP)
	$(PY) -m pre_commit install

$(RELEASE): $(STAMP)
	$(PIP) --group release
	@touch $(RELEASE)

## dist: build the wheel and the source archive into dist/, check them, try them in empty environments
dist: $(RELEASE)
	rm -rf dist
	$(PY) -m build
	$(PY) -m twine check --strict dist/*
	$(PY) tools/check_archives.py

# A client that cannot be installed is left out of the comparison, which says so.
$(BENCH)/.installed: pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --editable .
	@for package in $$($(BENCH)/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["bench"])'); do \
		$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check "$$package" || echo "not installed: $$package; 'rm -r $(BENCH)' lets the next run try again"; \
	done
	@touch $@

## bench: this library beside other clients, at most 20 minutes (OPTIONS=--quick: three); writes docs/benchmarks.md
bench: $(BENCH)/.installed
	$(BENCH)/bin/python benchmarks/compare.py $(OPTIONS)

## bench-check: the quick comparison, held to benchmarks/goals.toml
bench-check: $(BENCH)/.installed
	$(BENCH)/bin/python benchmarks/compare.py --check

## clean: remove environments, caches and results
clean:
	rm -rf $(VENV) $(VENV)-* dist site demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis

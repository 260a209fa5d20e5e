PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: demo test check lint types specs unit generate clean

## make demo: install, then run the main job against a Zoho that runs on this machine
demo: $(STAMP)
	$(PY) -m demo

## make test: everything CI runs
test: lint specs types unit

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "zoho_async needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

specs: $(STAMP)
	$(PY) -m codegen --check

types: $(STAMP)
	$(PY) -m mypy
	$(PY) -m pyright

unit: $(STAMP)
	$(PY) -X dev -m pytest -q

## make generate: specs/ -> generated code
generate: $(STAMP)
	$(PY) -m codegen

clean:
	rm -rf $(VENV) demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Every word works from a fresh clone: what it needs is set up first, and only once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KERNELS := $(wildcard src/aoai_cost/_fast/*.pyx src/aoai_cost/_fast/*.pxd src/aoai_cost/_fast/*.h)
UV := $(shell command -v uv 2>/dev/null)
INSTALL = $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)

.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt types bench deep golden dist clean

help:  ## list the words
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	$(if $(UV),$(UV) venv --quiet --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))

# What a user gets: the package, its base dependencies, the compiled modules in place.
$(VENV)/.installed: $(BIN)/python pyproject.toml setup.py $(KERNELS)
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.installed
	$(INSTALL) --editable '.[test]'
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	$(INSTALL) --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed  ## read the example log, print its cost report, write report.html and report.csv
	@$(BIN)/aoai-cost report examples/logs --deployments examples/deployments.toml --html report.html --csv report.csv

test: $(VENV)/.test  ## the quick suite
	$(BIN)/python -m pytest -q

lint: $(VENV)/.dev  ## ruff and cython-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cython-lint src/aoai_cost/_fast

fmt: $(VENV)/.dev  ## what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev  ## mypy strict, and the stubs against the compiled modules
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest aoai_cost._fast --ignore-missing-stub

bench: $(VENV)/.test  ## time against the references, after checking that the answers are equal
	$(BIN)/python -m pytest benchmarks -q --benchmark-enable --benchmark-only

clean:  ## forget everything built
	rm -rf $(VENV) build dist src/*.egg-info report.html report.csv
	find src -name '*.so' -delete

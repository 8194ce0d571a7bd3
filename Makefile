# Every word works from a fresh clone: what it needs is set up first, and only once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KERNELS := $(wildcard src/aoai_cost/_fast/*.pyx src/aoai_cost/_fast/*.pxd src/aoai_cost/_fast/*.pxi src/aoai_cost/_fast/*.h)
UV := $(shell command -v uv 2>/dev/null)
INSTALL = $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)
CHECKED := build/checked
PEERS = $(BIN)/python -c "import tomllib; extras = tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']; \
	print(*extras['peers'], *extras['counters'])"
SANITIZED := build/sanitized
FUZZED := build/fuzz
# How long `make fuzz` goes on, in all; a failure names its seed.
FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 1
# The newest interpreter beside $(PYTHON) that really starts, on PATH or among pyenv's; empty where there is none.
NEWEST ?= $(shell for v in 3.15 3.14 3.13 3.12; do for p in python$$v $(HOME)/.pyenv/versions/$$v.*/bin/python; do \
	$$p -c '' 2>/dev/null && echo $$p && exit; done; done)

.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt types bench compare checked sanitized deep azurite browser fuzz newest sdk spark notebooks golden accuracy leave-one-out dist clean

help:  ## list the words
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(if $(UV),$(UV) venv --quiet --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))

# What a user gets: the package, its base dependencies, the compiled modules in place. Each of these four builds the
# modules, so what has more is not built on what has less.
SOURCES := pyproject.toml setup.py $(KERNELS)
$(VENV)/.installed: $(BIN)/python $(SOURCES)
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.test: $(BIN)/python $(SOURCES)
	$(INSTALL) --editable '.[test]'
	@touch $(VENV)/.installed $@

$(VENV)/.dev: $(BIN)/python $(SOURCES)
	$(INSTALL) --editable '.[dev]'
	@touch $(VENV)/.installed $(VENV)/.test $@

$(VENV)/.spark: $(BIN)/python $(SOURCES)
	$(INSTALL) --editable '.[spark,test]'
	@touch $(VENV)/.installed $(VENV)/.test $@

# One by one, so that a peer with nothing for this interpreter or machine is left out of the table and stops nothing.
$(VENV)/.peers: $(VENV)/.test
	@for peer in $$($(PEERS)); do \
		$(INSTALL) "$$peer" || echo "not to be had here, so not measured: $$peer"; done
	@touch $@

$(VENV)/.azure: $(VENV)/.test
	$(INSTALL) --editable '.[azure,test]'
	@touch $@

$(VENV)/.browser: $(VENV)/.test
	$(INSTALL) --editable '.[browser]'
	@touch $@

$(VENV)/.fuzz: $(VENV)/.dev
	$(INSTALL) --editable '.[fuzz]'
	@touch $@

# Exit code 3 says that some rows are listed and not in the total; the example log has such rows on purpose.
demo: $(VENV)/.installed  ## read the example log, print its cost report, write report.html and report.csv
	@$(BIN)/aoai-cost report examples/logs --deployments examples/deployments.toml \
		--html report.html --csv report.csv || test $$? -eq 3

test: $(VENV)/.test  ## the quick suite, on all processors
	$(BIN)/python -m pytest -q -n auto --dist worksteal

lint: $(VENV)/.dev  ## ruff and cython-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH=$(CURDIR)/$(BIN):$$PATH cython-lint src/aoai_cost/_fast

fmt: $(VENV)/.dev  ## mend what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev  ## mypy strict, and the stubs against the compiled modules
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest aoai_cost._fast

bench: $(VENV)/.peers  ## time the tokenizer beside its peers, and the rest, after checking that the answers are equal
	$(BIN)/python benchmarks/table.py --json build/bench.json $(BENCH)
	$(BIN)/python benchmarks/bench_requests.py
	$(BIN)/python benchmarks/bench_logs.py
	$(BIN)/python -m pytest benchmarks -q --benchmark-enable --benchmark-only

compare: $(VENV)/.installed  ## the last `make bench` against the saved run
	$(BIN)/python benchmarks/compare.py $(RUNS)

checked: $(VENV)/.dev  ## the kernels' tests on a build with bounds and overflow checks
	AOAI_COST_CHECKED=1 $(BIN)/python setup.py --quiet build --build-base $(CHECKED) --build-lib $(CHECKED)/lib
	PYTHONPATH=$(CHECKED)/lib $(BIN)/python -m pytest -q tests/tokens tests/logs/test_columns.py

# Memory from malloc, so that the end of a str is the end of its block.
WATCHED = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc PYTHONPATH=$(SANITIZED)/lib

# pytest must leave the streams alone, or it swallows the reports. Left out: megabytes of corpora and the packing of the
# vocabularies, which is time in Python and in tiktoken.
sanitized: $(VENV)/.dev  ## the kernels' tests under the address and the undefined-behaviour sanitizer
	AOAI_COST_SANITIZED=1 $(BIN)/python setup.py --quiet build --build-base $(SANITIZED) --build-lib $(SANITIZED)/lib
	$(WATCHED) $(BIN)/python -c 'from aoai_cost._fast import split; assert "$(SANITIZED)" in split.__file__, split.__file__'
	$(WATCHED) $(BIN)/python -m pytest --capture=sys -q tests/tokens tests/logs/test_columns.py --ignore tests/tokens/test_corpora.py \
		--deselect tests/tokens/test_vocabulary.py::test_the_build_writes_every_vocabulary

deep: $(VENV)/.dev checked sanitized  ## many examples, and the slow checks
	HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest -q -m "not dist and not azurite and not spark and not browser"

# The storage emulator of Azure; the newest version that Node 18 runs, which is Debian's.
AZURITE_VERSION := 3.35.0
AZURITE := build/azurite-$(AZURITE_VERSION)
$(AZURITE)/.installed:
	.ci/npm
	npm install --silent --no-audit --no-fund --prefix $(AZURITE) azurite@$(AZURITE_VERSION)
	@touch $@

azurite: $(VENV)/.azure $(AZURITE)/.installed  ## reading from a storage account, against the real emulator
	PATH=$(CURDIR)/$(AZURITE)/node_modules/.bin:$$PATH $(BIN)/python -m pytest -q -m azurite tests/logs/test_azurite.py

browser: $(VENV)/.browser  ## the report page and the panel in headless Chromium and JupyterLab
	CHROMIUM=$$(.ci/chromium) && export CHROMIUM && $(BIN)/python -m pytest -q -m browser tests/browser

# Half of the time guided by coverage, over kernels that clang has marked; half at random, over the plain ones.
fuzz: $(VENV)/.fuzz  ## differential fuzzing against tiktoken for FUZZ_SECONDS (60), from FUZZ_SEED (1)
	clang=$$(.ci/clang) && AOAI_COST_FUZZED=1 CC=$$clang LDSHARED="$$clang -shared" \
		$(BIN)/python setup.py --quiet build --build-base $(FUZZED) --build-lib $(FUZZED)/lib
	LD_PRELOAD=$$($(BIN)/python -c 'import atheris; print(atheris.path())')/asan_with_fuzzer.so \
	ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONPATH=$(FUZZED)/lib \
	$(BIN)/python tests/fuzz_tokens.py --corpus $(FUZZED)/corpus --seconds $$(($(FUZZ_SECONDS) / 2)) --seed $(FUZZ_SEED)
	$(BIN)/python tests/fuzz_tokens.py --seconds $$(($(FUZZ_SECONDS) / 2)) --seed $(FUZZ_SEED)

newest: $(VENV)/.test  ## the quick suite on the newest interpreter of this machine
ifeq ($(NEWEST),)
	@echo "no interpreter newer than $(PYTHON) was found; nothing to run"
else
	$(MAKE) --no-print-directory test VENV=build/venv-newest PYTHON=$(NEWEST)
endif

dist: $(VENV)/.test  ## the sdist and the wheel, installed and tested from clean
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m pytest -q -m dist

# The versions of the openai package that a watched client is tried on beside the newest: the oldest supported one, the
# last of its major, and one of the next; each in a folder that goes before the environment's own.
SDKS ?= 1.66.0 1.109.1 2.54.0
build/sdk-%/.installed: $(VENV)/.test
	rm -rf $(@D)
	$(INSTALL) --target $(@D) openai==$*
	@touch $@

sdk: $(SDKS:%=build/sdk-%/.installed)  ## a watched client on older versions of the openai package
	@for sdk in $(SDKS); do \
		export PYTHONPATH=build/sdk-$$sdk; \
		$(BIN)/python -c "import openai, sys; sys.exit(openai.__version__ != '$$sdk')" && \
		$(BIN)/python -m pytest -q tests/test_client.py || exit 1; done

spark: $(VENV)/.spark  ## token counts and reports on a local Spark; needs Java 17 or 21
	JAVA_HOME=$$(.ci/java) && export JAVA_HOME && $(BIN)/python -m pytest -q -m spark tests/test_spark.py

notebooks: $(VENV)/.test  ## run every notebook from top to bottom
	$(BIN)/python -m pytest -q -n auto -m notebooks tests/test_notebooks.py

golden: $(VENV)/.installed  ## rewrite what is generated: catalogue, price table, table of what is covered, example log
	$(BIN)/python -m aoai_cost.catalog.compile
	$(BIN)/python -m aoai_cost.prices.compile
	$(BIN)/python docs/generate.py
	$(BIN)/python examples/generate.py

accuracy: $(VENV)/.test  ## rewrite the page on how exact the counts are, from the recorded requests of the test data
	$(BIN)/python docs/accuracy.py

leave-one-out: $(VENV)/.test  ## rewrite the page on the rules fitted without one repository at a time, in two minutes
	$(BIN)/python docs/leave_one_out

clean:  ## forget everything built
	rm -rf $(VENV) build dist src/*.egg-info report.html report.csv
	find src -name '*.so' -delete

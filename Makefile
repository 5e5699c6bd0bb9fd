# `make demo` and `make test` need Python 3.11 or newer, git and make; everything else is installed into .venv.
# Another interpreter: `make test PYTHON=/path/to/python`.

SHELL := /bin/sh
VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
TESTS ?=
# pytest-xdist workers; 0 runs in one process.
JOBS  ?= 2

# Settings of the caller's shell that would change what an isolated environment imports, installs or checks.
unexport PYTHONPATH PYTHONHOME PYTHONOPTIMIZE PYTHONDONTWRITEBYTECODE PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# pip warns about root even inside a virtual environment's build steps.
export PIP_ROOT_USER_ACTION := ignore
# Compiled XLA programs are kept between runs; the key contains the program, the flags and the jaxlib version.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0.5
# Loading a cached program logs two tuning flags as unsupported machine features, although the machine is the same.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup demo test slow lint format types site certify pins clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/make \1 - \2/p' Makefile

setup: $(STAMP)  ## create .venv and install everything, pinned

# 3.11 and 3.12 come first because the pins are tested there. A candidate must start (a version manager's shim may
# not) and be able to make virtual environments (Debian splits ensurepip off). The package is compiled and a few
# questions are asked, because what is read and derived is kept, so that the first command answers as fast as later ones.
$(STAMP): pyproject.toml requirements/test.txt
	@set -e; \
	right='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))'; \
	if [ -x $(BIN)/python ] && $(BIN)/python -c "$$right" 2>/dev/null && $(BIN)/python -m pip --version >/dev/null 2>&1; \
	then :; else \
	  found=; \
	  for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python; do \
	    if "$$python" -c "$$right" >/dev/null 2>&1; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "make: no Python 3.11 to 3.14 with venv and ensurepip found; install one or say make PYTHON=/path/to/python" >&2; \
	    exit 1; \
	  fi; \
	  echo "Creating $(VENV) with $$($$found --version)"; \
	  "$$found" -m venv --clear $(VENV); \
	fi; \
	echo "Installing the pinned packages into $(VENV) (the first time this downloads several hundred MB)"; \
	$(BIN)/python -m pip install --quiet --requirement requirements/test.txt; \
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .; \
	$(BIN)/python -m compileall -q flowrl_kb; \
	for asked in check "show sdac" ledger "export json"; do $(BIN)/flowrl-kb $$asked >/dev/null 2>&1 || true; done; \
	touch $@

demo: $(STAMP)  ## check the cards, answer a question, train a method, build the site
	$(BIN)/flowrl-kb check
	$(BIN)/flowrl-kb classes
	$(BIN)/flowrl-kb query "equiv(sdac, at=same-target-field)"
	$(BIN)/flowrl-kb run sdac --task bandit/8gaussians
	$(BIN)/flowrl-kb site build

test: $(STAMP)  ## the default test suite (TESTS="tests/kb -k grammar" for a part of it)
	@$(BIN)/python -m pytest -n $(JOBS) -q $(TESTS)

slow: $(STAMP)  ## the tests that take minutes
	@$(BIN)/python -m pytest -m slow -q $(TESTS)

lint: $(STAMP)  ## ruff
	$(BIN)/ruff check .

format: $(STAMP)  ## sort imports and apply ruff's safe fixes
	$(BIN)/ruff check --fix .

types: $(STAMP)  ## ty on the part that never imports jax
	$(BIN)/ty check

site: $(STAMP)  ## build the site
	$(BIN)/flowrl-kb site build

certify: $(STAMP)  ## measure what cards or code have changed and write taxonomy/verdicts.json
	$(BIN)/flowrl-kb certify --deep --write

pins: $(STAMP)  ## rewrite requirements/*.txt from what .venv holds
	$(BIN)/python requirements/pin.py core requirements/core.txt run,envs requirements/run.txt \
	  run,envs,site,dev requirements/test.txt

clean:  ## remove .venv, caches and build outputs
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

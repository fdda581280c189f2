# Linux, Python 3.11, make and a C compiler are all this needs. Every variable below can be given on the command line.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Interpreter from which the environment is made.
PYTHON ?= python3.11
# Where the environment lives.
VENV ?= $(CURDIR)/.venv
# Root under which runs, collections and the tracking database are kept; absolute path or file: URI.
STORAGE ?= $(CURDIR)/.harness
# A package index searched besides the default one. For builds of torch without CUDA:
#   make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Tests that need nothing but this machine. Those that start servers or workers have it to themselves.
HERE := not gpu and not network
PACKAGES := $(wildcard studies harness cluster analysis)

.PHONY: help setup demo ui test drill check formatting lint types contracts format bench clean

help:  ## say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: $(INSTALLED)  ## create the environment with the versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@[ "$$(uname -s)" = Linux ] || { echo "make setup: needs Linux, this is $$(uname -s)"; exit 1; }
	@command -v $(PYTHON) >/dev/null \
	  || { echo "make setup: no $(PYTHON) on PATH; install Python 3.11 or name one with PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "make setup: $(PYTHON) is $$($(PYTHON) -V 2>&1); constraints.txt is for 3.11, name one with PYTHON="; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "make setup: $(PYTHON) has no venv module; install the package python3.11-venv"; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null \
	  || { echo "make setup: no C compiler (cc or gcc) on PATH; install gcc"; exit 1; }
	@echo "Installing into $(VENV), some minutes ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt \
	  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --editable '.[dev]'
	@touch $@

demo: setup  ## run the study first_look, write its report, say how to open MLflow
	HARNESS_STORAGE='$(STORAGE)' $(BIN)/python -m harness run first_look
	HARNESS_STORAGE='$(STORAGE)' $(BIN)/python -m analysis report first_look
	@echo
	@echo "Report:  $(CURDIR)/reports/first_look/index.html"
	@echo "Runs:    make ui   (or HARNESS_STORAGE='$(STORAGE)' $(BIN)/python -m harness ui)"

ui: setup  ## serve the recorded runs in the MLflow UI until interrupted
	HARNESS_STORAGE='$(STORAGE)' $(BIN)/python -m harness ui

test: setup  ## run every test that needs no GPU
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --dist loadfile -m '$(HERE) and not integration'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m '$(HERE) and integration'

drill: setup  ## disturb a small study on purpose and see that its numbers stay
	OMP_NUM_THREADS=1 $(BIN)/python -m harness drill all

check: formatting lint types contracts  ## formatting, lint, types and import contracts

formatting: setup
	$(BIN)/ruff format --check --quiet || { echo "make check: run 'make format'"; exit 1; }

lint: setup
	$(BIN)/ruff check

types: setup
	$(BIN)/mypy $(PACKAGES) tests

contracts: setup
	$(BIN)/lint-imports

format: setup  ## bring every file into the common form
	$(BIN)/ruff check --fix --quiet || true
	$(BIN)/ruff format

# A hundred kill points take well over an hour: python -m tests.benchmarks.bench_kill_points
BENCHMARKS := $(filter-out %/bench_kill_points.py,$(wildcard tests/benchmarks/bench_*.py))

bench: setup  ## run the benchmarks, which print ratios
	@for file in $(BENCHMARKS); do \
	  module=$${file%.py}; echo "== $$file"; OMP_NUM_THREADS=$${OMP_NUM_THREADS:-2} $(BIN)/python -m "$${module//\//.}"; \
	done

clean:  ## remove the environment and the caches of tools; storage and reports stay
	rm -rf '$(VENV)' *.egg-info build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

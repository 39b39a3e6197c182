# `make demo` and `make test` need only Python 3.11 or newer and make; a second run starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# By file, so that what a module prepares for its tests is prepared once; in their order, so that no long file comes last.
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
# Small tests of pure code: no torch, no worker, no terminal, no kill. tests/test_quick.py checks this.
QUICK := tests/test_docs.py tests/test_private_apis.py tests/test_quick.py tests/test_words.py \
	tests/app/draw tests/app/report tests/app/text tests/app/views tests/app/test_keymap.py tests/app/test_preferences.py \
	tests/engine/analysis tests/engine/contract tests/engine/pareto tests/engine/study tests/engine/tasks tests/store \
	--ignore tests/app/draw/test_plain.py \
	--ignore tests/engine/analysis/test_difficulty.py \
	--ignore tests/engine/analysis/test_error_analysis.py --ignore tests/engine/analysis/test_predictions.py \
	--ignore tests/engine/tasks/test_intervals.py --ignore tests/engine/tasks/test_routing.py
PIP := $(BIN)/pip install --disable-pip-version-check --progress-bar on --constraint constraints.txt

ANNOUNCE = echo 'Installing into $(VENV), once: torch and transformers are large, so this takes minutes.'

.PHONY: help demo quick test check format static docs setup clean
.DEFAULT_GOAL := demo

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

demo: $(VENV)/installed  ## run a study that needs no network, in the app or as text
	@if [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; then $(BIN)/bertdistill-tui --demo; else $(BIN)/bertdistill-tui engine demo; fi

quick: $(VENV)/installed-dev  ## run small tests of pure code, under a minute
	$(BIN)/pytest $(PYTEST_ARGS) $(QUICK)

test: $(VENV)/installed-dev  ## run every test
	$(BIN)/pytest $(PYTEST_ARGS)

check: static test  ## run static and test

format: $(VENV)/installed-dev  ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

static: $(VENV)/installed-dev typings/bertdistill  ## check format, lint, types and imports between rooms
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=typings $(BIN)/lint-imports  # sees the folders of the packages there, not the installed `bertdistill`

docs: $(VENV)/installed-dev  ## regenerate the reference pages from the code
	$(BIN)/python -m bertdistill.app.reference docs

setup: $(VENV)/installed-dev typings/bertdistill  ## install with the development tools

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

# The stamps make a second run fast: pip runs again only after a change to its inputs.
$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@$(ANNOUNCE)
	$(PIP) --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@$(ANNOUNCE)
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/installed

# Type checkers do not run the import hook of an editable install; they read these links.
typings/bertdistill:
	mkdir -p $@
	ln -sfn ../../app $@/app
	ln -sfn ../../engine $@/engine
	ln -sfn ../../store $@/store

clean:  ## remove the environment and caches
	rm -rf $(VENV) typings build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# `make demo` and `make test` need Python 3.11 or newer and make, nothing else; a second run starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?= -n 2
PIP := $(BIN)/pip install --disable-pip-version-check --progress-bar on --constraint constraints.txt

ANNOUNCE = echo 'Installing into $(VENV), once: torch and transformers are large, so this takes minutes.'

.PHONY: demo test check static docs setup clean

demo: $(VENV)/installed
	@if [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; then $(BIN)/bertdistill-tui --demo; else $(BIN)/bertdistill-tui engine demo; fi

test: $(VENV)/installed-dev
	$(BIN)/pytest $(PYTEST_ARGS)

check: static test

static: $(VENV)/installed-dev typings/bertdistill
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed-dev
	$(BIN)/python -m bertdistill.app.reference docs

setup: $(VENV)/installed-dev typings/bertdistill

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

# The stamps make a second run quick: pip is asked again only after a change of what it is asked for.
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

clean:
	rm -rf $(VENV) typings build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

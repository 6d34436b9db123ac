# Everything on a machine that has only Python 3.11 and make: `make demo`, `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check

demo: $(READY)
	$(BIN)/tune-kd compare --policies grid,random,tpe,annealing,stochastic --budget 20trials

# Real Ray runs have both cores to themselves.
test: $(READY)
	$(BIN)/python -m pytest -rs -m "not slow" --numprocesses 2 --dist loadfile
	$(BIN)/python -m pytest -rs -m slow --durations 10

# What people run before a commit: style, types, layers and the fast tests.
check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

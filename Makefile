# Everything on a machine that has only Python 3.11 and make: `make demo`, `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check

demo: $(READY)
	$(BIN)/tune-kd compare --policies grid,random,tpe,annealing,stochastic --budget 20trials

# File by file on both cores, for real Ray runs mostly wait; in their order, for a Ray of its own comes before a shared one.
# Bytecode is kept, whatever the environment says: hundreds of processes import the same modules.
test: export PYTHONDONTWRITEBYTECODE =
test: $(READY)
	$(BIN)/python -m pytest -rs --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 10

# What people run before a commit: style, types, layers and the fast tests.
check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

$(READY): requirements.lock pyproject.toml
	@echo "downloading $$(grep -c == requirements.lock) packages into .venv, about 7 GB with the GPU libraries, if it is not in pip's cache"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# `make demo` and `make test` create what they need, the virtual environment included.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?= -m "not slow"
# Tests of one file stay together (tests/conftest.py), for the bundles that they share, and begin in the order found
# there; each process wants some 2 GB.
# One OpenMP thread each: with more of them than cores, PyTorch's threads mostly wait for one another.
PARALLEL := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test lint clean

demo: $(VENV)/installed
	rm -rf demo
	$(BIN)/sam3i-edge demo -o demo
	$(BIN)/sam3i-edge verify demo/bundle

test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "The workstation side needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[all,dev]"
	touch $@

clean:
	rm -rf $(VENV) demo build dist

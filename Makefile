# `make demo` and `make test` do all the set-up: a virtual environment, the pinned packages.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench bench-tiny clean format

demo: $(READY)
	$(BIN)/tui-loop demo

test: $(READY)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.import_circles

bench: $(READY)
	$(BIN)/python -m benchmarks

bench-tiny: $(READY)
	$(BIN)/python -m benchmarks --scale tiny

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[train,smollm2,search,test]'
	touch $@

clean:
	rm -rf $(VENV) build dist tui-loop-demo

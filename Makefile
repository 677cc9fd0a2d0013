# `make demo` and `make test` do all the set-up: a virtual environment, the pinned packages.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST_OPTIONS := -q -n 2 --dist loadfile

# The base install has an environment a Python: `make test-base BASE_PYTHON=python3.13`.
BASE_PYTHON ?= $(PYTHON)
BASE_VERSION = $(shell $(BASE_PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

.PHONY: demo test test-slow test-base check bench bench-tiny clean format

demo: $(READY)
	@echo "Opening the demo ..."
	@$(BIN)/tui-loop demo

test: $(READY)
	@echo "Running all tests except the slow ones, about 6 minutes on two cores ..."
	@$(BIN)/python -m pytest $(PYTEST_OPTIONS) -m "not slow"

test-slow: $(READY)
	@echo "Running the slow tests, long real runs, up to 25 minutes on two cores ..."
	@$(BIN)/python -m pytest $(PYTEST_OPTIONS) -m slow

test-base:
	@$(MAKE) --no-print-directory .venv-base-$(BASE_VERSION)/.ready
	@echo "Running the tests of the base install on Python $(BASE_VERSION), without torch ..."
	@.venv-base-$(BASE_VERSION)/bin/python -m pytest $(PYTEST_OPTIONS) -m "not train and not slow"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.import_circles
	$(BIN)/python -m scripts.phrases

bench: $(READY)
	$(BIN)/python -m benchmarks

bench-tiny: $(READY)
	$(BIN)/python -m benchmarks --scale tiny

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@test -x $(BIN)/python || { \
		echo "Creating $(VENV) with $$($(PYTHON) --version) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing the pinned packages into $(VENV) (about 400 MB the first time; more with a CUDA torch) ..."
	@$(BIN)/python scripts/install.py \
		--constraint constraints.txt --editable '.[train,smollm2,search,test]'
	@touch $@

.venv-base-%/.ready: pyproject.toml constraints.txt
	@test -x $(@D)/bin/python || { \
		echo "Creating $(@D) with $$($(BASE_PYTHON) --version) ..."; \
		$(BASE_PYTHON) -m venv $(@D); }
	@echo "Installing the base install and its tests' packages into $(@D) ..."
	@$(@D)/bin/python scripts/install.py \
		--constraint constraints.txt --editable '.[test-base]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-base-* build dist tui-loop-demo

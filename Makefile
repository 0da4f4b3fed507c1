# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Much of the tests is waiting, for processes that load PyTorch: one worker for each core.
PYTEST = -m pytest -n auto --dist worksteal $(ARGS)
# Stamps, so that a second call installs nothing.
INSTALLED = $(VENV)/.installed-local
TOOLS = $(VENV)/.installed-tools

# What `make quick` leaves out; the markers are in pyproject.toml.
LONG = slow or e2e or model

.PHONY: demo test quick coverage long avx2 lint types wheel-test check clean

demo: $(INSTALLED)  ## the main job on a real repository: this checkout's own history
	@PATH="$(abspath $(BIN)):$$PATH" docs/demo.sh

test: $(TOOLS)  ## all tests: under 10 minutes on 2 cores
	$(BIN)/python $(PYTEST)

quick: $(TOOLS)  ## the tests without the long ones: under 2 minutes on 2 cores
	$(BIN)/python $(PYTEST) -m "not ($(LONG))"

coverage: $(TOOLS)  ## the same with coverage, which must not fall below the floor
	$(BIN)/python $(PYTEST) -m "not ($(LONG))" --cov --cov-report=term

long: $(TOOLS)  ## the tests that `quick` leaves out
	$(BIN)/python $(PYTEST) -m "$(LONG)"

avx2: $(TOOLS)  ## the tests of the engine as on a processor without AVX-512
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 \
	FBGEMM_ENABLE_INSTRUCTIONS=AVX2 $(BIN)/python $(PYTEST) \
	    tests/assistant/backend tests/assistant/decoding tests/assistant/training

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(TOOLS)
	$(BIN)/mypy

wheel-test: $(TOOLS)  ## all but the slow tests against the built wheel, in an environment of its own
	rm -rf build dist $(VENV)-wheel
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip install --quiet --upgrade "pip>=25.1" setuptools
	$(VENV)-wheel/bin/python -m pip install --quiet -c constraints.txt torch
	$(VENV)-wheel/bin/python -m pip install --quiet -c constraints.txt --group tests \
	    "git-copilot[local] @ file://$$(ls $(abspath dist)/*.whl)"
	$(VENV)-wheel/bin/python $(PYTEST) -m "not slow"

check: lint types test

# torch first and alone: the pinned version decides which build the others accept.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "installing into $(VENV) (a few minutes the first time)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1" setuptools
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[local]"
	@touch $@

$(TOOLS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt --group dev
	@touch $@

clean:
	rm -rf build dist $(VENV) $(VENV)-wheel *.egg-info .mypy_cache .ruff_cache .pytest_cache

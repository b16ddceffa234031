# Two commands for everybody: `make demo` and `make test`. `make check` before a commit. Nothing but git, make and Python 3.11 is needed.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format mutants torture clean

demo: .venv/installed
	@$(BIN)/monitor demo

test: .venv/installed-dev
	@$(BIN)/pytest -n 2 --dist worksteal

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	MONITOR_TESTS=quick $(BIN)/pytest -n 2 --dist worksteal -q -m "not slow"

format: .venv/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What docs/reliability.md promises, in full: an hour of kills and faults; as root, because disks are filled and files locked.
torture: .venv/installed-dev
	@MONITOR_TORTURE=1 MONITOR_FUZZ_PAYLOADS=1000000 MONITOR_TORTURE_FIGURES=$(CURDIR)/build/torture.jsonl $(BIN)/pytest -p no:xdist -q \
		tests/e2e/test_kill.py tests/e2e/test_server_killed.py tests/e2e/test_broker_kill.py tests/e2e/test_faults.py tests/e2e/test_clock_set.py \
		tests/e2e/test_intruders.py tests/e2e/test_flood.py tests/e2e/test_fuzz.py tests/ingest/test_payload_fuzz.py

# Mutation testing (docs/mutation.md), hours of it; cosmic-ray has an environment of its own, as the tests do not need it.
mutants: .venv/installed-dev build/cosmic-ray/bin/cosmic-ray
	@$(BIN)/python -m benchmarks.mutation --cosmic-ray build/cosmic-ray/bin/cosmic-ray

build/cosmic-ray/bin/cosmic-ray:
	@$(PYTHON) -m venv build/cosmic-ray
	@build/cosmic-ray/bin/pip install --quiet --disable-pip-version-check cosmic-ray==8.7.0

# A virtual environment with exactly what the lock file says; the package itself is linked to this folder.
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or newer is needed; '$(PYTHON)' is not. Say which to use: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv module is missing. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/installed: requirements.lock pyproject.toml | .venv/bin/pip
	@echo "installing what requirements.lock says into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@echo "compiling, once ..."
	@$(BIN)/python -m monitor.warm
	@touch $@

.venv/installed-dev: requirements-dev.lock pyproject.toml | .venv/bin/pip
	@echo "installing what requirements-dev.lock says into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@$(BIN)/python -m monitor.warm
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build

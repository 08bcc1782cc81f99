# `make demo` and `make test` need Python 3.11 and make; everything else is installed into .venv.
PYTHON ?= python3.11
BIN := .venv/bin
UV_VERSION := 0.13.9

.PHONY: setup demo test check format services-test bench bench-quick golden images lock clean

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "This needs $(PYTHON); install it or say where it is: make PYTHON=/path/to/python3.11." >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@# Where Python may not write what it compiles (PYTHONDONTWRITEBYTECODE), every start would compile Paddle's 1,000 modules anew: 2 seconds.
	-$(BIN)/python -m compileall -q -j 0 .venv/lib fl_core components pipelines
	touch $@

demo: setup
	$(BIN)/fl run examples/digits.yaml

test: setup
	$(BIN)/python -m pytest -m "not services" -n 2 --dist loadfile

services-test: setup
	$(BIN)/python -m pytest -m services tests/services

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: setup
	$(BIN)/python -m tests.pipelines.golden

bench: setup
	$(BIN)/fl bench all

bench-quick: setup
	$(BIN)/fl bench all --quick

lock:
	$(BIN)/uv pip compile pyproject.toml --group dev --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o requirements.lock
	$(BIN)/python images/lock.py $(BIN)/uv
	$(BIN)/uv pip compile benchmarks/flower.in --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o benchmarks/flower.lock

images: setup
	$(BIN)/python images/build.py

clean:
	rm -rf .venv build dist *.egg-info store

# Everything is set up in .venv, with versions that are known to work together.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
# Who is done first takes over tests of the other.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
export TF_CPP_MIN_LOG_LEVEL ?= 3
# What JAX compiles is kept between runs: a second `make test` takes half the time there.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.venv/jax_cache
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES ?= -1

.PHONY: demo test pages test-all lint clean

## Distils on real data, exports, and writes a report to runs/digits.
demo: .venv/demo.stamp
	$(BIN)/python -m keras_kd $(ARGS)

## The tests on TensorFlow, then those of the core on JAX.
test: .venv/test.stamp
	$(PYTEST) -m "not slow and not pages" --doctest-modules tests keras_kd
	KERAS_BACKEND=jax $(PYTEST) -m "core and not slow and not alike" tests

## The README's code blocks, and the notebooks on their small setting.
pages: .venv/test.stamp
	$(PYTEST) -m pages tests

## All tests: with the pages, and the slow ones, some of which need KERAS_KD_DATA_DIR.
test-all: .venv/test.stamp
	$(PYTEST) --doctest-modules tests keras_kd
	KERAS_BACKEND=jax $(PYTEST) -m core tests

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: setup.cfg constraints.txt | .venv/bin/python
	$(BIN)/pip install -q -c constraints.txt -e ".[demo]"
	touch $@

.venv/test.stamp: setup.cfg constraints.txt | .venv/bin/python
	$(BIN)/pip install -q -c constraints.txt -e ".[test,jax]"
	touch $@

clean:
	rm -rf .venv runs build *.egg-info

# Everything is set up in .venv, with versions that are known to work together.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
# Who is done first takes over tests of the other.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations 10
# The workers have the cores: threads of PyTorch's own would wait for each other.
ON_TORCH := KERAS_BACKEND=torch OMP_NUM_THREADS=1 $(PYTEST)
# Test modules that pytest has rewritten once are kept, as Python keeps all that it compiles.
unexport PYTHONDONTWRITEBYTECODE
export TF_CPP_MIN_LOG_LEVEL ?= 3
# What JAX compiles is kept between runs: a second `make test` takes half the time there.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.venv/jax_cache
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES ?= -1

.PHONY: demo docs test test-times test-torch scale pages notebooks test-all attacks coverage lint dist clean

## Distils on real data, exports, and writes a report to runs/digits.
demo: .venv/demo.stamp
	$(BIN)/python -m keras_kd $(ARGS)

## The tests on TensorFlow, then those of the core on JAX.
test: .venv/test.stamp
	$(PYTEST) -m "not slow and not pages" --doctest-modules tests keras_kd
	KERAS_BACKEND=jax $(PYTEST) -m "core and not slow and not alike" tests

## The same, and where the minutes go: the seconds of every test file.
test-times: .venv/test.stamp
	$(PYTEST) --junitxml .venv/times_tensorflow.xml -m "not slow and not pages" --doctest-modules tests keras_kd
	KERAS_BACKEND=jax $(PYTEST) --junitxml .venv/times_jax.xml -m "core and not slow and not alike" tests
	$(BIN)/python benchmarks/test_times.py .venv/times_tensorflow.xml .venv/times_jax.xml

## The tests of the core on PyTorch, which this installs.
test-torch: .venv/torch.stamp
	$(ON_TORCH) -m "core and not slow and not alike" tests

## Labelling on Apache Beam and Ray and into an object store, in an environment of their own (they want other versions);
## then trainings on several devices and in two processes.
scale: .venv/scale.stamp .venv/test.stamp
	.venv/scale/bin/python -m pytest -m scale --durations 10 tests/scale
	$(BIN)/python -m pytest -m slow --durations 10 tests/scale
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m slow --durations 10 tests/scale

## The site, in docs/_build/html: broken links and missing names are errors.
docs: .venv/docs.stamp
	$(BIN)/python -m sphinx -b html -q -W --keep-going docs docs/_build/html

## The README's code blocks and the site's, and the notebooks on their small setting.
pages: .venv/test.stamp
	$(PYTEST) -m pages tests

## All tests: with the pages, PyTorch, Beam and Ray, and the slow ones, some of which need KERAS_KD_DATA_DIR.
test-all: .venv/test.stamp .venv/torch.stamp scale
	$(PYTEST) --doctest-modules tests keras_kd
	KERAS_BACKEND=jax $(PYTEST) -m core tests
	$(ON_TORCH) -m core tests

## Kills, damage, forgeries, meeting writers and wrong calls, on both backends: benchmarks/attacks.md.
attacks: .venv/test.stamp
	KERAS_KD_ATTACKS=.venv/attacks_tensorflow.json $(PYTEST) tests/attacks
	KERAS_BACKEND=jax KERAS_KD_ATTACKS=.venv/attacks_jax.json $(PYTEST) -m core tests/attacks
	$(BIN)/python benchmarks/attacks.py .venv/attacks_tensorflow.json .venv/attacks_jax.json

## Which lines of keras_kd the tests run, on both backends together; the slow ones are among them.
coverage: .venv/test.stamp
	$(PYTEST) -m "not pages" --cov --cov-report= --cov-fail-under=0 --doctest-modules tests keras_kd
	KERAS_BACKEND=jax $(PYTEST) -m "core and not pages" --cov --cov-append tests

## Runs the notebooks on their full setting, an hour on two cores, and keeps what they show.
notebooks: .venv/test.stamp
	$(BIN)/python notebooks/execute.py

## Style, and the types of the public signatures.
lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## What is published: sdist and wheel in dist/, checked, and the wheel tried where nothing else is.
dist: .venv/dist.stamp
	rm -rf build dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/venv
	build/venv/bin/pip install -q -c constraints.txt "$$(ls dist/*.whl)[demo]"
	build/venv/bin/python -I .ci/fifteen_lines.py
	rm -rf build

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: setup.cfg constraints.txt | .venv/bin/python
	$(BIN)/pip install -q -c constraints.txt -e ".[demo]"
	touch $@

.venv/test.stamp: setup.cfg constraints.txt | .venv/bin/python
	$(BIN)/pip install -q -c constraints.txt -e ".[test,jax]"
	touch $@

.venv/docs.stamp: setup.cfg constraints.txt | .venv/bin/python
	$(BIN)/pip install -q -c constraints.txt -e ".[docs]"
	touch $@

.venv/dist.stamp: setup.cfg constraints.txt | .venv/bin/python
	$(BIN)/pip install -q -c constraints.txt -e ".[dist]"
	touch $@

.venv/torch.stamp: setup.cfg constraints.txt | .venv/bin/python
	$(BIN)/pip install -q -c constraints.txt -e ".[test,torch]"
	touch $@

.venv/scale.stamp: setup.cfg constraints-scale.txt | .venv/scale/bin/python
	.venv/scale/bin/pip install -q -c constraints-scale.txt -e ".[beam,ray]" "moto[server]" pytest s3fs
	touch $@

.venv/scale/bin/python:
	$(PYTHON) -m venv .venv/scale

clean:
	rm -rf .venv runs build dist *.egg-info .coverage .mypy_cache docs/_build

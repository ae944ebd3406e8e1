"""What the tests of labelling on many machines share."""

import os
from pathlib import Path

import keras
import pytest


@pytest.fixture(autouse=True)
def quiet():
    """No progress bars."""
    keras.config.disable_interactive_logging()
    yield
    keras.config.enable_interactive_logging()


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 8)
    monkeypatch.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 4)


@pytest.fixture(scope="session")
def workers_path():
    """Lets processes that an engine starts import what the tests import."""
    tests = Path(__file__).parents[1]
    with pytest.MonkeyPatch.context() as patch:
        for folder in (tests.parent, tests, tests / "scale"):
            patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield

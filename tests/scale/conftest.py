"""What the tests of labelling on many machines share."""

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

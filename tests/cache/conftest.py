"""What the tests of the cache share."""

import keras
import pytest


@pytest.fixture(autouse=True)
def quiet():
    """No progress bars, which cost more than what they show here."""
    keras.config.disable_interactive_logging()
    yield
    keras.config.enable_interactive_logging()

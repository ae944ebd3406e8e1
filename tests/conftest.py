"""What every test shares."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest

# What reads shapes, files and settings, and runs on no backend: TensorFlow's run shows it.
ALIKE_ON_JAX = (
    "tests/cache/test_components.py",
    "tests/cache/test_fingerprints.py",
    "tests/cache/test_labeller.py",
    "tests/cache/test_teacher_cache_identity.py",
    "tests/cache/test_teacher_cache_interrupted.py",
    "tests/cache/test_teacher_cache_workers.py",
    "tests/features/test_awaited_shapes.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leaves to `make test-all` on JAX what TensorFlow's run shows as well."""
    if keras.backend.backend() == "jax":
        for item in items:
            if item.nodeid.split("::")[0] in ALIKE_ON_JAX:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same seed and leaves no global Keras state behind."""
    keras.utils.set_random_seed(1)
    yield
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy("float32")

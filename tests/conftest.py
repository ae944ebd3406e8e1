"""What every test shares."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    # TensorFlow rewrites every graph before it first runs, a sixth of the time of tests of few
    # steps. The demo, the README's blocks and the notebooks run with it, as users do.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def pytest_collection_finish():
    """Python looks for garbage among all that was imported otherwise, again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Skips what runs under XLA where there is none; `ways_to_run` has `torch.compile`."""
    for item in items if keras.backend.backend() == "torch" else ():
        if hasattr(item, "callspec") and item.callspec.params.get("jit_compile"):
            item.add_marker(pytest.mark.skip(reason="PyTorch has no XLA"))


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same seed and leaves no global Keras state behind."""
    keras.utils.set_random_seed(1)
    yield
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy("float32")

"""Which tests of the losses are left to `make test-all`."""

import keras
import pytest
from contract import LossContract

from keras_kd.losses import DistillationLoss

ON_JAX = keras.backend.backend() == "jax"
MANY_SHAPES_OF_ONE_FORMULA = (
    "test_dist_is_the_papers_formula",
    "test_ft_loss_is_the_papers_formulas",
    "test_review_kd_loss_is_the_papers_method",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks as slow what costs much and tells little that other tests do not tell."""
    for item in items:
        if "tests/losses/" in item.nodeid and (_resumes_like_any(item) or _is_told_by_others(item)):
            item.add_marker(pytest.mark.slow)


def _resumes_like_any(item):
    """A loss without weights resumes as any other does: `tests/distiller/test_resuming.py`."""
    if getattr(item, "originalname", "") != "test_a_resumed_run_equals_the_unbroken_one":
        return False
    if not issubclass(item.cls, LossContract):
        return False
    return ON_JAX or not _has_a_part(item)


def _has_a_part(item):
    return type(item.cls().loss()).make_part is not DistillationLoss.make_part


def _is_told_by_others(item):
    """Other values of the same test; on JAX also what TensorFlow shows of the formula."""
    values = item.callspec.params if hasattr(item, "callspec") else {}
    if getattr(item, "cls", None) is None or not issubclass(item.cls, LossContract):
        # Many operations round in float64 there; and what is compiled for every shape is slow.
        return ON_JAX and (
            values.get("dtype") == "float64" or item.originalname in MANY_SHAPES_OF_ONE_FORMULA
        )
    return (
        values.get("seed") == 1
        or values.get("dtype") == "bfloat16"
        or values.get("jit_compile", ON_JAX) is not ON_JAX  # with XLA there, here without
        or (ON_JAX and "jit_compile" in values and not _has_a_part(item))
        or (ON_JAX and item.originalname == "test_the_gradient_is_the_slope_of_the_values")
    )

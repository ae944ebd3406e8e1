"""What a Distiller does with each loss, shown by many at once: one `fit` costs what one loss' does.

Every class that inherits `LossContract` in a test file beside this takes part.
"""

import functools
import importlib
import pathlib

import keras
import pytest
from contract import LossContract
from models_for_tests import EAGER, assert_same_weights
from together import data, fitted, models

pytestmark = pytest.mark.core


@functools.cache
def contracts():
    for path in sorted(pathlib.Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"tests.losses.{path.stem}")
    return {cls.__name__.removeprefix("Test"): cls() for cls in _below(LossContract) if cls.make}


def _below(cls):
    for below in cls.__subclasses__():
        yield below
        yield from _below(below)


def cases(group):
    """`{name: contract}` of a group."""
    found = {
        name: case
        for name, case in contracts().items()
        if group == ("input_gradient" if case.loss().side == "input_gradient" else case.nets)
    }
    assert found
    return found


# Of one Distiller each. A loss on input gradients wants models of one output.
@pytest.fixture(scope="module", params=["convolutional", "attending", "input_gradient"])
def group(request):
    """A group's contracts, a Distiller that was fitted with all of them, and what is left."""
    # JAX would run eagerly without XLA.
    found = cases(request.param)
    return found, *fitted(found, jit_compile=keras.backend.backend() == "jax", epochs=12)


def test_every_loss_brings_the_student_nearer_to_the_teacher(group):
    _, _, left = group
    assert {name: share for name, share in left.items() if not share < 0.99} == {}


def test_the_student_holds_nothing_of_any_loss(group):
    found, model, _ = group
    plain, _ = models(found)
    assert [w.shape for w in model.student.weights] == [w.shape for w in plain.weights]


# Files hold the state of a few losses on JAX as they hold that of all.
@pytest.mark.parametrize(
    "group",
    [pytest.param("convolutional", marks=pytest.mark.alike), "attending", "input_gradient"],
    indirect=True,
)
def test_a_reloaded_distiller_goes_on_as_the_unbroken_with_every_loss(group, tmp_path):
    _, unbroken, _ = group
    unbroken.save(tmp_path / "distiller.keras")
    resumed = keras.saving.load_model(tmp_path / "distiller.keras")
    assert_same_weights(resumed, unbroken, atol=0.0)
    resumed.run_eagerly = EAGER["run_eagerly"]
    x, y = data(unbroken, 32)
    for model in (resumed, unbroken):
        model.fit(x, y, batch_size=32, shuffle=False, verbose=0)
    assert_same_weights(resumed, unbroken)

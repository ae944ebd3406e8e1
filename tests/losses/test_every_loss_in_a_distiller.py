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
from together import assert_fit_brings_nearer, data, distiller

pytestmark = pytest.mark.core
# Of one Distiller. A loss on input gradients wants models of one output.
every_group = pytest.mark.parametrize("group", ["convolutional", "attending", "input_gradient"])


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


@every_group
def test_every_loss_brings_the_student_nearer_to_the_teacher_and_stays_outside_it(group):
    # JAX would run eagerly without XLA.
    assert_fit_brings_nearer(cases(group), jit_compile=keras.backend.backend() == "jax")


@every_group
@pytest.mark.alike
def test_a_resumed_run_equals_the_unbroken_one_with_every_loss(group, tmp_path):
    path, (x, y) = tmp_path / "distiller.keras", data(32)
    fit = {"batch_size": 32, "shuffle": False, "verbose": 0}
    unbroken = distiller(cases(group))
    unbroken.compile(keras.optimizers.Adam(3e-3), **EAGER)
    unbroken.fit(x, y, epochs=2, callbacks=[SaveAfterFirst(path)], **fit)
    resumed = keras.saving.load_model(path)
    resumed.fit(x, y, **fit)
    assert_same_weights(resumed, unbroken)


class SaveAfterFirst(keras.callbacks.Callback):
    """Saves the Distiller after its first epoch."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.model.save(self.path)

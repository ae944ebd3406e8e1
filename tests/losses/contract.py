"""What every loss must hold, whatever it compares: a test class for its own tests to inherit."""

import json

import keras
import numpy as np
import pytest
from every_loss import make_parts, run, two_seeds
from gradients import FLOAT64_STAYS, assert_gradient, compiled, gradient
from keras import ops
from together import distiller, fitted

from keras_kd.losses import KDLoss


class LossContract:
    """Inherit it in `class TestMyLoss(LossContract)`, mark the module `core`, and say what differs.

    Attributes:
        make: The loss' class, or a function of its keyword arguments.
        nets: "convolutional" or "attending": which nets of `nets_for_losses.py` it distils.
        layers: `{student_layer: teacher_layer}` of these nets; None for a loss on outputs.
        equal_is_zero: Whether a student that equals its teacher has distance 0.
        half: What the half-precision values are multiplied by.
        pull: How strongly `fit` is to pull, for a distance that falls slowly from where it begins.
        needs_labels, needs_index: Whether the formula asks for them.
    """

    make = None
    nets = "convolutional"
    layers = None
    equal_is_zero = True
    half = 60_000.0
    pull = 1.0
    needs_labels = needs_index = False

    def values(self, seed=0):
        """Teacher's and student's values as NumPy arrays, or lists or dicts of them."""
        rng = np.random.default_rng(seed)
        return rng.normal(size=(4, 5)), rng.normal(size=(4, 5))

    def context(self, batch):
        """What the formula asks for by name."""
        context = {}
        if self.needs_labels:
            context["labels"] = np.arange(batch) % 3
        if self.needs_index:
            context["index"] = np.arange(batch)
        return context

    def loss(self, **kwargs):
        return type(self).make(**kwargs)

    def batch(self, value):
        return len(keras.tree.flatten(value)[0])

    # What follows is tested for every loss. Where all backends walk the same code of the base class
    # it is `alike`: `test_distillation_loss.py`, `test_sample_weights.py` and each paper's formula
    # run there.

    @pytest.mark.alike
    def test_there_is_one_value_a_sample(self):
        teacher, student = self.values()
        batch = self.batch(student)
        loss = self.loss(reduction=None)
        each = run(loss, teacher, student, **self.context(batch))
        assert each.shape == (batch,)
        assert np.isfinite(each).all()

    @pytest.mark.alike
    def test_samples_of_weight_0_count_for_nothing(self):
        teacher, student = self.values()
        batch = self.batch(student)
        loss = self.loss()
        assert run(loss, teacher, student, np.zeros(batch), **self.context(batch)) == 0.0

    @two_seeds
    @pytest.mark.alike
    def test_the_gradient_is_the_slope_of_the_values(self, seed):
        teacher, student = self.values(seed)
        loss, context = self.loss(dtype="float64"), self.context(self.batch(student))
        flat, rebuild = _flat(student)
        make_parts(loss, teacher, student)
        assert_gradient(lambda z: loss(teacher, rebuild(z), **context), flat)

    def test_no_gradient_reaches_the_teacher(self):
        teacher, student = self.values()
        loss, context = self.loss(), self.context(self.batch(student))
        flat, rebuild = _flat(teacher)
        make_parts(loss, teacher, student)
        slope = gradient(lambda z: loss(rebuild(z), student, **context), flat, "float32")
        np.testing.assert_array_equal(slope, np.zeros(flat.shape))

    @pytest.mark.alike
    @pytest.mark.parametrize("dtype", ["float16", pytest.param("bfloat16", marks=pytest.mark.slow)])
    def test_large_values_in_half_precision_are_compared_in_float32(self, dtype):
        teacher, student = (
            keras.tree.map_structure(
                lambda x: ops.cast(ops.array(self.half * x / np.abs(x).max(), "float32"), dtype),
                value,
            )
            for value in self.values()
        )
        loss, context = self.loss(), self.context(self.batch(student))
        make_parts(loss, teacher, student)
        value = compiled(lambda *values: loss(*values, **context))(teacher, student)
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
        assert np.isfinite(ops.convert_to_numpy(value))
        flat, rebuild = _flat(
            keras.tree.map_structure(
                lambda x: np.asarray(ops.convert_to_numpy(ops.cast(x, "float32"))), student
            )
        )
        slope = gradient(lambda z: loss(teacher, rebuild(z), **context), flat, "float32")
        assert np.isfinite(slope).all()

    @pytest.mark.alike
    def test_a_student_that_equals_its_teacher_has_nothing_to_learn(self):
        if not self.equal_is_zero:
            pytest.skip("the paper's formula is not 0 there")
        teacher, _ = self.values()
        loss, context = self.loss(dtype="float64"), self.context(self.batch(teacher))
        unit = np.finfo("float64" if FLOAT64_STAYS else "float32").eps
        assert run(loss, teacher, teacher, **context) == pytest.approx(0.0, abs=1e3 * float(unit))

    def test_a_reloaded_loss_is_the_same_loss(self):
        loss = self.loss(weight=2.5, name="mine", reduction="sum", layers={"a": "b"})
        config = keras.saving.serialize_keras_object(loss)
        copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
        assert type(copy) is type(loss)
        assert copy.get_config() == loss.get_config()
        assert (copy.weight, copy.name, copy.layers) == (2.5, "mine", {"a": "b"})

    @pytest.mark.slow  # `test_every_loss_in_a_distiller.py` fits it beside the others
    def test_fit_under_xla_brings_the_student_nearer_to_the_teacher(self):
        _, left = fitted({"alone": self}, jit_compile=True)
        assert left["alone"] < 0.95

    # How the loss is used in a Distiller.

    @property
    def is_on_outputs(self):
        return self.layers is None and self.loss().side == "output"

    def distance(self, teacher, student, labels):
        """How far outputs are from the teacher's, for a loss on outputs."""
        context = {"labels": labels} if self.needs_labels else {}
        return run(self.loss(), teacher, student, **context)

    def distiller(self):
        """A Distiller with this loss alone."""
        return distiller({self.loss().name: self})


def kd_distance(self, teacher, student, labels):
    """`distance` for a loss whose least is not the teacher's answer, or whose value moves."""
    return run(KDLoss(temperature=1.0), teacher, student)


def _flat(value):
    """One vector of all numbers in a structure of arrays, and the way back."""
    leaves = keras.tree.flatten(value)
    if len(leaves) == 1 and not keras.tree.is_nested(value):
        return value, lambda z: z
    ends = np.cumsum([leaf.size for leaf in leaves])

    def rebuild(z):
        parts = [
            ops.reshape(z[end - leaf.size : end], leaf.shape)
            for leaf, end in zip(leaves, ends, strict=True)
        ]
        return keras.tree.pack_sequence_as(value, parts)

    return np.concatenate([np.ravel(leaf) for leaf in leaves]), rebuild

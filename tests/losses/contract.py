"""What every loss must hold, whatever it compares: a test class for its own tests to inherit."""

import json

import keras
import numpy as np
import pytest
from every_loss import run
from gradients import FLOAT64_STAYS, assert_gradient, gradient
from keras import ops
from models_for_tests import EAGER, assert_same_weights, cross_entropy
from nets_for_losses import digits, student_net, teacher_net

from keras_kd import Distiller
from keras_kd.losses import KDLoss

jit = pytest.mark.parametrize("jit_compile", [False, True], ids=["plain", "xla"])


class LossContract:
    """Inherit it in `class TestMyLoss(LossContract)`, mark the module `core`, and say what differs.

    Attributes:
        make: The loss' class, or a function of its keyword arguments.
        layers: `{student_layer: teacher_layer}` of the nets in `nets_for_losses.py`; None for a
            loss on outputs.
        equal_is_zero: Whether a student that equals its teacher has distance 0.
        half: What the half-precision values are multiplied by.
        learning_rate: Of the `fit` that must bring the student nearer.
        needs_labels, needs_index: Whether the formula asks for them.
    """

    make = None
    layers = None
    equal_is_zero = True
    half = 60_000.0
    learning_rate = 3e-3
    epochs = 6
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

    # What follows is tested for every loss.

    def test_there_is_one_value_a_sample(self):
        teacher, student = self.values()
        batch = self.batch(student)
        loss = self.loss(reduction=None)
        each = run(loss, teacher, student, **self.context(batch))
        assert each.shape == (batch,)
        assert np.isfinite(each).all()

    def test_samples_of_weight_0_count_for_nothing(self):
        teacher, student = self.values()
        batch = self.batch(student)
        loss = self.loss()
        assert run(loss, teacher, student, np.zeros(batch), **self.context(batch)) == 0.0

    @pytest.mark.parametrize("seed", [0, 1])
    def test_the_gradient_is_the_slope_of_the_values(self, seed):
        teacher, student = self.values(seed)
        loss, context = self.loss(dtype="float64"), self.context(self.batch(student))
        flat, rebuild = _flat(student)
        run(loss, teacher, student, **context)  # makes the loss' own part outside the gradient
        assert_gradient(lambda z: loss(teacher, rebuild(z), **context), flat)

    def test_no_gradient_reaches_the_teacher(self):
        teacher, student = self.values()
        loss, context = self.loss(), self.context(self.batch(student))
        flat, rebuild = _flat(teacher)
        run(loss, teacher, student, **context)
        slope = gradient(lambda z: loss(rebuild(z), student, **context), flat, "float32")
        np.testing.assert_array_equal(slope, np.zeros(flat.shape))

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_large_values_in_half_precision_are_compared_in_float32(self, dtype):
        teacher, student = (
            keras.tree.map_structure(
                lambda x: ops.cast(ops.array(self.half * x / np.abs(x).max(), "float32"), dtype),
                value,
            )
            for value in self.values()
        )
        loss, context = self.loss(), self.context(self.batch(student))
        value = loss(teacher, student, **context)
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
        assert np.isfinite(ops.convert_to_numpy(value))
        flat, rebuild = _flat(
            keras.tree.map_structure(
                lambda x: np.asarray(ops.convert_to_numpy(ops.cast(x, "float32"))), student
            )
        )
        slope = gradient(lambda z: loss(teacher, rebuild(z), **context), flat, "float32")
        assert np.isfinite(slope).all()

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

    @jit
    def test_fit_brings_the_student_nearer_to_the_teacher(self, jit_compile):
        distiller = self.distiller()
        self.compile(distiller, jit_compile=jit_compile)
        history = self.fit(distiller, self.epochs)
        assert np.isfinite(history["loss"]).all()
        distances = self.distances(distiller, history)
        assert distances[-1] < 0.95 * distances[0]

    def test_a_resumed_run_equals_the_unbroken_one(self, tmp_path):
        unbroken = self.distiller()
        self.compile(unbroken, **EAGER)
        self.fit(unbroken, 2, count=32, shuffle=False)
        first = self.distiller()
        self.compile(first, **EAGER)
        self.fit(first, 1, count=32, shuffle=False)
        first.save(tmp_path / "distiller.keras")
        second = keras.saving.load_model(tmp_path / "distiller.keras")
        assert_same_weights(second, first, atol=0.0)
        self.fit(second, 1, count=32, shuffle=False)
        assert_same_weights(second, unbroken)

    def test_the_student_holds_nothing_of_the_loss(self):
        distiller = self.distiller()
        plain = self.student()
        assert [w.shape for w in distiller.student.weights] == [w.shape for w in plain.weights]

    # How a Distiller with this loss alone is made and fitted.

    def distiller(self):
        keras.utils.set_random_seed(0)
        loss = {"kd_loss": self.loss()}
        if self.layers is not None:
            loss = {"kd_loss": None, "feature_losses": [self.loss(layers=self.layers)]}
        return Distiller(self.student(), self.teacher(), alpha=0.0, **loss)

    def student(self):
        return student_net()

    def teacher(self):
        return teacher_net()

    def compile(self, distiller, **kwargs):
        optimizer = keras.optimizers.Adam(self.learning_rate)
        distiller.compile(optimizer, cross_entropy(), **{"jit_compile": False, **kwargs})

    def fit(self, distiller, epochs, count=96, **kwargs):
        x, y = digits(count)
        if self.needs_index:
            x = {"inputs": x, "index": np.arange(len(x))}
        keras.utils.set_random_seed(1)
        return distiller.fit(x, y, batch_size=32, epochs=epochs, verbose=0, **kwargs).history

    def distances(self, distiller, history):
        """The distance after each epoch."""
        return history[self.loss().name if self.layers is not None else "kd_loss"]


def kd_before_and_after(distiller):
    """How far the student's answers are from the teacher's, for losses that have another least."""
    x, _ = digits()
    loss = KDLoss(temperature=1.0)
    answers = [net(x, training=False) for net in (student_net(), distiller.student)]
    return [float(loss(distiller.teacher(x, training=False), given)) for given in answers]


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

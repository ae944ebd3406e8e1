"""Losses with weights, stages and an index of their own, in a Distiller."""

import keras
import numpy as np
import pytest
from keras import ops
from models_for_tests import (
    COMPILED,
    EAGER,
    assert_same_weights,
    cross_entropy,
    examples,
    inferred,
    net,
)
from variants import first_of

from keras_kd import Distiller
from keras_kd.callbacks import LossWeightScheduler
from keras_kd.losses import DistillationLoss

pytestmark = pytest.mark.core
LAYERS = {"hidden": "hidden"}


@keras.saving.register_keras_serializable(package="parts")
class LearnedLoss(DistillationLoss):
    """Learns a map from the student's value to the teacher's."""

    def make_part(self, teacher_shape, student_shape, teacher_layer=None):
        part = keras.layers.Dense(teacher_shape[-1], dtype=self.dtype, name="translator")
        part.build(student_shape)
        return part

    def call(self, teacher_value, student_value, part):
        return ops.mean(ops.square(part(student_value) - teacher_value), axis=-1)


@keras.saving.register_keras_serializable(package="parts")
class SometimesLearnedLoss(LearnedLoss):
    """Learns where the widths differ only."""

    def make_part(self, teacher_shape, student_shape, teacher_layer=None):
        if teacher_shape[-1] == student_shape[-1]:
            return None
        return super().make_part(teacher_shape, student_shape, teacher_layer)

    def call(self, teacher_value, student_value, part):
        return super().call(teacher_value, student_value, part or (lambda value: value))


@keras.saving.register_keras_serializable(package="parts")
class JointLoss(DistillationLoss):
    """Compares the sums of all layers, weighted by two stages."""

    joint = True
    stages = ("sum", "product")

    def make_part(self, teacher_shape, student_shape, teacher_layer=None):
        part = keras.layers.Dense(1, dtype=self.dtype, name="scale")
        part.build((None, len(teacher_shape)))
        return part

    def call(self, teacher_value, student_value, part, stages, training):
        assert training in (True, False, None)
        sums = [
            ops.stack([ops.sum(v, -1) for v in values], -1)
            for values in (teacher_value, student_value)
        ]
        return (
            stages["sum"] * ops.square(sums[1] - sums[0])[:, 0]
            + stages["product"] * ops.square(part(sums[1]))[:, 0]
        )


@keras.saving.register_keras_serializable(package="parts")
class IndexedLoss(DistillationLoss):
    """The mean of the indices, to see what arrives."""

    def call(self, teacher_value, student_value, index):
        return ops.cast(index, "float32") + 0.0 * student_value[:, 0]


def distiller(loss, how=COMPILED):
    model = Distiller(net(3), net(5, seed=1), alpha=0.5, feature_losses=[loss])
    model.compile(keras.optimizers.Adam(1e-2), cross_entropy(), **how)
    return model


def fit(model, epochs=1, **kwargs):
    x, y = examples(24)
    keras.utils.set_random_seed(2)
    fit = {"batch_size": 8, "epochs": epochs, "shuffle": False, "verbose": 0}
    return model.fit(x, y, **fit, **kwargs).history


def test_a_loss_own_part_is_trained_and_stays_out_of_the_student():
    model = distiller(LearnedLoss(layers=LAYERS, weight=10.0))
    (part,) = model.feature_terms[0].parts
    before = ops.convert_to_numpy(part.kernel)
    history = fit(model, 20)
    assert np.abs(ops.convert_to_numpy(part.kernel) - before).max() > 1e-2
    assert history["learned_loss"][-1] < history["learned_loss"][0]
    ours = {id(v) for v in part.trainable_variables}
    assert ours <= {id(v) for v in model.trainable_variables}
    assert not ours & {id(v) for v in model.student.variables}


@pytest.mark.slow
@first_of(
    "loss",
    [LearnedLoss(layers=LAYERS), JointLoss(layers={"hidden": "hidden", "scores": "scores"})],
    ids=lambda loss: loss.name,
)
def test_a_loss_own_part_is_saved_and_resumed(loss, tmp_path):
    unbroken, first = distiller(loss), distiller(loss)
    first.set_weights(unbroken.get_weights())
    fit(unbroken)
    fit(unbroken)
    fit(first)
    first.save(tmp_path / "distiller.keras")
    second = keras.saving.load_model(tmp_path / "distiller.keras")
    assert_same_weights(second, first, atol=0.0)
    fit(second)
    assert_same_weights(second, unbroken)


def test_a_loss_may_learn_on_outputs_too():
    model = Distiller(net(3), net(5, seed=1), alpha=0.0, kd_loss=LearnedLoss())
    model.compile(keras.optimizers.Adam(1e-2), cross_entropy(), **EAGER)
    before = [ops.convert_to_numpy(v) for v in model.output_terms[0].part.trainable_variables]
    fit(model, 3)
    after = [ops.convert_to_numpy(v) for v in model.output_terms[0].part.trainable_variables]
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(after, before, strict=True))


@first_of("order", [("hidden", "scores"), ("scores", "hidden")])
def test_some_pairs_of_layers_may_need_no_part(order):
    model = distiller(SometimesLearnedLoss(layers={name: name for name in order}))
    assert [part.units for part in model.feature_terms[0].parts] == [5]
    history = fit(model, 20)["sometimes_learned_loss"]
    assert history[-1] < history[0]


def test_stages_are_weights_that_a_callback_changes():
    loss = JointLoss(layers={"hidden": "hidden", "scores": "scores"})
    model = distiller(loss)
    assert {"joint_loss/sum", "joint_loss/product"} < set(model.term_weights)
    stages = [
        LossWeightScheduler(f"joint_loss/{stage}", lambda epoch, weight: 0.0)
        for stage in ("sum", "product")
    ]
    assert fit(model, callbacks=stages)["joint_loss"] == [0.0]


def test_a_joint_loss_wants_all_layers_at_once():
    with pytest.raises(ValueError, match="compares pairs: lists of one length"):
        JointLoss()(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"does not compare outputs.*feature_losses"):
        Distiller(net(3), net(5, seed=1), kd_loss=JointLoss())


@pytest.mark.alike
@first_of("shuffle", [False, True])
def test_the_index_travels_with_the_data(shuffle):
    x, y = examples(20)
    model = distiller(IndexedLoss(layers=LAYERS), EAGER)
    history = model.fit(
        {"inputs": x, "index": np.arange(20)}, y, batch_size=8, shuffle=shuffle, verbose=0
    )
    assert history.history["indexed_loss"] == [pytest.approx(9.5)]
    carried = model.evaluate({"inputs": x, "index": np.arange(20)}, y, verbose=0)
    np.testing.assert_allclose(carried, model.evaluate(x, y, verbose=0), rtol=1e-6)
    predicted = model.predict({"inputs": x, "index": np.arange(20)}, verbose=0)
    np.testing.assert_allclose(predicted, inferred(model.student, x), atol=1e-6)


def test_without_an_index_it_is_said_how_to_carry_one():
    x, y = examples(8)
    model = distiller(IndexedLoss(layers=LAYERS))
    with pytest.raises(ValueError, match=r'needs each sample\'s number.*"index": index'):
        model.fit(x, y, verbose=0)

import json

import keras
import numpy as np
import pytest
from contract import LossContract
from every_loss import draw, run, two_seeds
from gradients import FLOAT64_STAYS, float64
from keras import ops
from models_for_tests import EAGER
from nets_for_losses import digits
from together import data
from variants import of_compiled_steps

from keras_kd.losses import CRDLoss
from keras_kd.losses.formula.contrast_memory import ContrastMemory

pytestmark = pytest.mark.core
# A graph on both backends; JAX without XLA would run eagerly.
COMPILED = {"jit_compile": keras.backend.backend() == "jax"}


def array(x):
    x = x.numpy() if isinstance(x, keras.Variable) else ops.convert_to_numpy(x)
    return np.asarray(x, "float64")


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


class Simulation:
    """Tian 2020 in NumPy, with the authors' memory; it draws no negatives, it is told them."""

    def __init__(self, loss, part):
        self.loss, self.z = loss, [None, None]
        self.memories = [array(part.teacher_memory), array(part.student_memory)]
        self.kernels = [
            (array(dense.kernel), array(dense.bias))
            for dense in (part.embeddings.teacher, part.embeddings.student)
        ]

    def step(self, values, index, negatives, training):
        loss, n = self.loss, self.loss.size
        views = [unit(v @ k + b) for v, (k, b) in zip(values, self.kernels, strict=True)]
        noise = loss.negatives / n
        each = np.zeros(len(index))
        z = list(self.z)
        for side in (0, 1):
            memory = self.memories[1 - side]
            p = np.zeros((len(index), 1 + loss.negatives))
            for i, others in enumerate(negatives):
                for k, j in enumerate([index[i], *others]):
                    p[i, k] = np.exp(views[side][i] @ memory[j] / loss.temperature)
            if z[side] is None:
                z[side] = n * p.mean()
            p /= z[side]
            each -= np.log(p[:, 0] / (p[:, 0] + noise))
            each -= np.log(noise / (p[:, 1:] + noise)).sum(axis=1)
        if training:
            self.z = z
            for side in (0, 1):
                old = self.memories[side].copy()
                for j in set(index):
                    seen = np.mean([views[side][i] for i in np.flatnonzero(index == j)], axis=0)
                    mixed = loss.momentum * old[j] + (1.0 - loss.momentum) * seen
                    self.memories[side][j] = unit(mixed)
        return each


def reading_negatives(part, drawn):
    """Keeps the negatives that `part` draws, as the simulation needs the same."""
    draw_others = part.draw

    def reading(index):
        others = draw_others(index)
        drawn.append(ops.convert_to_numpy(others))
        return others

    part.draw = reading


# Few negatives of many samples are gathered as vectors, many of few as scores.
@pytest.mark.alike
@pytest.mark.parametrize("size, negatives", [(12, 5), (60, 2)])
@two_seeds
def test_crd_loss_of_several_steps_is_the_authors(size, negatives, seed):
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    dtype = "float64" if FLOAT64_STAYS else "float32"
    loss = CRDLoss(
        size, negatives=negatives, temperature=0.2, momentum=0.7, dim=4, dtype=dtype, reduction=None
    )
    part, drawn = loss.make_part((None, 5), (None, 3)), []
    simulation = Simulation(loss, part)
    reading_negatives(part, drawn)
    # An evaluation before and between the steps, a sample twice in a batch, a last batch of one.
    steps = [(4, False), (4, True), (4, True), (3, False), (4, True), (1, True)]
    for number, (batch, training) in enumerate(steps):
        index = rng.choice(size, batch, replace=False)
        if number == 2:
            index[2] = index[0]
        values = rng.normal(size=(batch, 5)), rng.normal(size=(batch, 3))
        with float64():
            each = array(loss(*values, index=index, part=part, training=training))
        expected = simulation.step(values, index, drawn.pop(), training)
        np.testing.assert_allclose(each, expected, rtol=1e-4 if dtype == "float32" else 1e-9)
        for memory, simulated in zip(
            (part.teacher_memory, part.student_memory), simulation.memories, strict=True
        ):
            np.testing.assert_allclose(array(memory), simulated, atol=1e-6)
    np.testing.assert_allclose(np.exp(array(part.log_z)), simulation.z, rtol=1e-4)


@pytest.mark.alike
def test_crd_loss_of_equal_scores_by_hand():
    # All vectors alike: p = 1 / N for every pair, so with K = 3 of N = 4 the odds are 1 to 3 for
    # each: -ln(1/4) - 3 ln(3/4), from both sides.
    loss = CRDLoss(4, negatives=3, dim=2)
    part = loss.make_part((None, 2), (None, 2))
    for memory in (part.teacher_memory, part.student_memory):
        memory.assign(np.tile([[1.0, 0.0]], (4, 1)))
    for dense in (part.embeddings.teacher, part.embeddings.student):
        dense.kernel.assign(np.eye(2))
    x = np.array([[1.0, 0.0], [2.0, 0.0]])
    expected = 2.0 * (np.log(4.0) + 3.0 * np.log(4.0 / 3.0))
    value = run(loss, x, x, index=np.array([1, 3]), part=part)
    assert value == pytest.approx(expected, rel=1e-5)


@pytest.mark.alike
def test_negatives_are_drawn_uniformly_from_all_other_samples():
    loss = CRDLoss(5, negatives=4)
    part = loss.make_part((None, 2), (None, 2))
    drawn = ops.convert_to_numpy(part.draw(ops.array(np.repeat([0, 2, 4], 2000), "int32")))
    assert drawn.shape == (6000, 4)
    for i, sample in enumerate([0, 2, 4]):
        counts = np.bincount(drawn[2000 * i : 2000 * (i + 1)].ravel(), minlength=5)
        assert counts[sample] == 0
        # 8000 draws of chance 1/4 have a deviation of 39.
        assert np.abs(np.delete(counts, sample) - 2000).max() < 5 * 39
    assert (ops.convert_to_numpy(part.draw(ops.array([0], "int32"))) != drawn[0]).any()


def test_the_memory_starts_with_rows_of_length_about_1():
    part = ContrastMemory(CRDLoss(500, negatives=1), (None, 2), (None, 2))
    lengths = np.linalg.norm(array(part.teacher_memory), axis=1)
    assert np.abs(lengths - 1.0).max() < 0.3
    assert abs(lengths.mean() - 1.0) < 0.02


@pytest.mark.alike
def test_only_training_is_remembered():
    teacher, student = draw((3, 4))
    loss = CRDLoss(9, negatives=2)
    part = loss.make_part((None, 4), (None, 4))
    before = part.teacher_memory, part.student_memory, part.log_z, part.z_is_set
    before = [array(v) for v in before]
    for training in (None, False, True):
        run(loss, teacher, student, index=np.arange(3), part=part, training=training)
        after = [
            array(v) for v in (part.teacher_memory, part.student_memory, part.log_z, part.z_is_set)
        ]
        moved = [np.abs(a - b).max() > 0.0 for a, b in zip(after, before, strict=True)]
        assert moved == [bool(training)] * 4


@pytest.mark.parametrize("wrong", [-1, 9, 2**31 - 1])
def test_an_index_out_of_the_memory_is_an_error_and_is_not_remembered(wrong):
    teacher, student = draw((2, 4))
    loss = CRDLoss(9, negatives=2)
    part = loss.make_part((None, 4), (None, 4))
    before = array(part.teacher_memory)
    with pytest.raises(ValueError, match=rf"training samples, 0 to 8 .*index with \[{wrong}\]"):
        loss(teacher, student, index=np.array([0, wrong]), part=part, training=True)
    np.testing.assert_array_equal(array(part.teacher_memory), before)


@pytest.mark.alike
@pytest.mark.parametrize(
    "wrong", [{"size": 1}, {"negatives": 0}, {"temperature": 0.0}, {"momentum": 1.5}, {"dim": 0}]
)
def test_crd_loss_refuses_arguments_out_of_range(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"`{name}` must be .*Received: {name}="):
        CRDLoss(**{"size": 10, "negatives": 1, **wrong})


@pytest.mark.alike
def test_crd_loss_refuses_more_negatives_than_there_are_other_samples():
    with pytest.raises(ValueError, match=r"`negatives` must be at most.*negatives=10, size=10"):
        CRDLoss(10, negatives=10)
    assert CRDLoss(10, negatives=9).negatives == 9
    with pytest.raises(ValueError, match=r"Received: negatives=16384, size=10"):
        CRDLoss(10)


def test_crd_loss_wants_vectors_and_an_index():
    with pytest.raises(ValueError, match=r"vectors \(B, C\): tap the layer that pools"):
        CRDLoss(9, negatives=2)(np.ones((2, 4, 3)), np.ones((2, 3)), index=np.arange(2))
    with pytest.raises(ValueError, match=r'needs each sample\'s number.*"index": index'):
        CRDLoss(9, negatives=2)(np.ones((2, 3)), np.ones((2, 3)))


def test_crd_loss_reloads_its_own_arguments():
    loss = CRDLoss(50, negatives=7, temperature=0.1, momentum=0.25, dim=3)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    copy = keras.saving.deserialize_keras_object(config)
    own = copy.size, copy.negatives, copy.temperature, copy.momentum, copy.dim, copy.weight
    assert own == (50, 7, 0.1, 0.25, 3, 0.8)


def crd(**kwargs):
    return CRDLoss(96, **{"negatives": 20, "dim": 8, **kwargs})


class TestCRDLoss(LossContract):
    make = crd
    layers = {"pool": "pool"}
    needs_index = True
    equal_is_zero = False  # an embedding on each side, and other samples

    def loss(self, **kwargs):
        loss = crd(**kwargs)
        if "layers" in kwargs:
            return loss
        # A loss used alone meets the same negatives and the same Z each time, so that its gradient
        # is the slope of its values.
        make_part = loss.make_part

        def with_fixed_negatives(*shapes):
            part = make_part(*shapes)
            part.draw = lambda index: (ops.expand_dims(index, 1) + np.arange(1, 21)) % 96
            part.log_z.assign([5.0, 5.5])
            part.z_is_set.assign(1.0)
            return part

        loss.make_part = with_fixed_negatives
        return loss

    @pytest.mark.alike
    def test_each_sample_is_remembered_once_an_epoch(self):
        # 50 samples in shuffled batches of 16, the last of 2; nothing else moves at rate 0.
        distiller = self.distiller()
        distiller.compile(keras.optimizers.SGD(0.0), **COMPILED)
        (part,) = distiller.feature_terms[0].parts
        simulation = Simulation(crd(), part)
        x, _ = digits(50)
        pooled = [
            keras.Model(model.input, model.get_layer("pool").output).predict(x, verbose=0)
            for model in (distiller.teacher, distiller.student)
        ]
        index = np.random.default_rng(0).permutation(96)[:50]
        distiller.fit({"inputs": x, "index": index}, batch_size=16, shuffle=True, verbose=0)
        for side, memory in enumerate((part.teacher_memory, part.student_memory)):
            kernel, bias = simulation.kernels[side]
            expected = simulation.memories[side]
            if side == 0:  # the student's BatchNormalization sees other batches in training
                seen = unit(pooled[0] @ kernel + bias)
                expected[index] = unit(0.5 * expected[index] + 0.5 * seen)
                np.testing.assert_allclose(array(memory), expected, atol=1e-4)
            rest = np.setdiff1d(np.arange(96), index)
            np.testing.assert_array_equal(array(memory)[rest], expected[rest])
            np.testing.assert_allclose(np.linalg.norm(array(memory)[index], axis=1), 1.0, 1e-5)

    @of_compiled_steps
    @pytest.mark.alike  # as any flaw in a compiled step is told: test_flaws.py of the Distiller's
    def test_an_unknown_number_in_a_compiled_step_is_not_remembered(self):
        distiller = self.distiller()
        distiller.compile(keras.optimizers.SGD(0.0), **COMPILED)
        (part,) = distiller.feature_terms[0].parts
        before = array(part.student_memory)
        x, _ = digits(16)
        bad = {"inputs": x, "index": keras.ops.arange(90, 106)}  # arrays are looked at before
        with pytest.raises(ValueError, match=r"CRDLoss was given .*batch 0 of epoch 0"):
            distiller.fit(bad, batch_size=16, verbose=0)
        np.testing.assert_array_equal(array(part.student_memory), before)

    @pytest.mark.alike
    def test_memory_and_negatives_go_on_after_a_save(self, tmp_path):
        distiller = self.distiller()
        distiller.compile(keras.optimizers.Adam(3e-3), **EAGER)
        x, _ = data(distiller, 32)
        distiller.fit(x, batch_size=32, verbose=0)
        distiller.save(tmp_path / "distiller.keras")
        copy = keras.saving.load_model(tmp_path / "distiller.keras")
        one, other = (model.feature_terms[0].parts[0] for model in (distiller, copy))
        assert float(other.z_is_set) == 1.0
        for name in ("teacher_memory", "student_memory", "log_z"):
            np.testing.assert_array_equal(array(getattr(one, name)), array(getattr(other, name)))
        index = ops.array([0, 5], "int32")
        np.testing.assert_array_equal(array(one.draw(index)), array(other.draw(index)))

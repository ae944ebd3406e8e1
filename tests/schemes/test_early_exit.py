"""Examples that leave a model early, and what that costs."""

import keras
import numpy as np
import pytest
from models_for_tests import inferred, net, softmax

from keras_kd.evaluation.flops import count_flops
from keras_kd.features import Tap
from keras_kd.losses import BinaryKDLoss
from keras_kd.schemes import EarlyExit, SelfDistiller, exit_table

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def distiller():
    layers = [keras.layers.Dense(size, "tanh", name=n) for size, n in ((5, "early"), (6, "late"))]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, name="scores")])
    made = SelfDistiller(model, ["early", "late"])
    # Weights that are the same on every backend, and of which some examples are sure early.
    rng = np.random.default_rng(1)
    for weight in made.weights:
        if weight.name == "kernel":
            weight.assign(rng.normal(0.0, 1.0, weight.shape))
    return made


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(0).normal(size=(23, 4)).astype("float32")


@pytest.mark.parametrize("batch_size", [4, pytest.param(100, marks=pytest.mark.alike)])
def test_each_example_leaves_at_the_first_exit_that_is_sure(distiller, inputs, batch_size):
    answers = inferred(distiller, inputs)
    names = ["early", "late", "deepest"]
    sure = {name: softmax(answers[name]).max(-1) for name in names}
    threshold = 0.7
    found = distiller.early_exit(threshold)(inputs, batch_size=batch_size)
    late = np.where(sure["late"] >= threshold, 1, 2)
    expected = np.where(sure["early"] >= threshold, 0, late)
    assert len(set(expected)) == 3, sure  # else this shows little
    assert min(abs(each - threshold).min() for each in sure.values()) > 1e-4
    np.testing.assert_array_equal(found.exits, expected)
    rows = [answers[names[place]][number] for number, place in enumerate(expected)]
    np.testing.assert_allclose(found.outputs, rows, atol=1e-5)
    assert found.shares == pytest.approx(
        {name: (expected == place).mean() for place, name in enumerate(names)}
    )


def test_at_0_all_leave_first_and_above_1_the_model_itself_answers(distiller, inputs):
    config = distiller.model.get_config()
    early = distiller.early_exit(0.0)
    first = early(inputs)
    np.testing.assert_allclose(first.outputs, inferred(distiller, inputs)["early"], atol=1e-5)
    assert first.shares == {"early": 1.0, "late": 0.0, "deepest": 0.0}
    early.threshold = 1.1
    last = early((inputs, np.zeros(len(inputs))))
    np.testing.assert_allclose(last.outputs, inferred(distiller.model, inputs), atol=1e-5)
    assert last.shares["deepest"] == 1.0
    assert distiller.model.get_config() == config


def test_operations_are_those_of_an_examples_own_way(distiller, inputs):
    early = distiller.early_exit(0.0)
    flops = early.flops
    to_early = keras.Model(distiller.model.inputs[0], distiller.model.get_layer("early").output)
    alone = count_flops(to_early, inputs[:1])
    head = count_flops(distiller.heads["early"], np.zeros((1, 5), "float32"))
    # Counters differ a little by how operations are put together.
    assert flops["early"] == pytest.approx(alone + head, rel=0.02)
    assert flops["early"] < flops["late"] < flops["deepest"]
    assert early(inputs).flops == flops["early"]


@pytest.mark.alike
def test_the_table_says_what_early_exit_does(distiller, inputs):
    labels = np.arange(len(inputs)) % 3
    thresholds = [0.0, 0.6, 2]
    table = exit_table(distiller, (inputs, labels), thresholds)
    for row, threshold in zip(table.rows, thresholds, strict=True):
        found = distiller.early_exit(threshold)(inputs)
        assert row["threshold"] == threshold
        assert row["shares"] == pytest.approx(found.shares)
        assert row["flops"] == pytest.approx(found.flops)
        assert row["accuracy"] == pytest.approx((found.outputs.argmax(-1) == labels).mean())
    head, _, *rows = str(table).split("\n")
    assert head.startswith("| Threshold | Accuracy (%) | FLOPs | Left at early (%) |")
    assert len(rows) == 3
    one_hot = exit_table(distiller, (inputs, np.eye(3)[labels]), thresholds)
    assert one_hot.rows == table.rows


@pytest.mark.alike
def test_probabilities_and_raw_arguments(distiller, inputs):
    softmax_model = SelfDistiller(net(activation="softmax"), ["hidden"])
    found = softmax_model.early_exit(0.0)(np.ones((3, 4), "float32"))
    np.testing.assert_allclose(found.outputs.sum(-1), 1.0, atol=1e-6)
    with pytest.raises(ValueError, match=r"threshold.*Received: threshold=-0.1"):
        distiller.early_exit(-0.1)
    with pytest.raises(ValueError, match=r"batch_size.*Received"):
        distiller.early_exit(0.5)(inputs, batch_size=0)
    with pytest.raises(ValueError, match=r"labels.*Received: y=None"):
        exit_table(distiller, inputs)
    with pytest.raises(ValueError, match=r"no batch.*Received"):
        distiller.early_exit(0.5)(inputs[:0])
    with pytest.raises(TypeError, match=r"SelfDistiller was expected.*Received"):
        exit_table(net(), (inputs, inputs))


@pytest.mark.alike
def test_models_that_cannot_be_left_early(distiller):
    yes_no = SelfDistiller(net(activation="sigmoid"), ["hidden"], kd_loss=BinaryKDLoss())
    with pytest.raises(ValueError, match=r"one softmax.*BinaryKDLoss"):
        yes_no.early_exit(0.5)

    start = keras.Input((4,))
    hidden = keras.layers.Dense(4, name="hidden")(start)
    more = keras.layers.Dense(4)(hidden)
    skipping = keras.Model(start, keras.layers.Dense(3)(keras.layers.Add()([more, start])))
    with pytest.raises(ValueError, match=r"other paths.*Received"):
        SelfDistiller(skipping, ["hidden"]).early_exit(0.5)

    words = keras.Input((4,), dtype="int32")
    x = keras.layers.Embedding(9, 4, mask_zero=True, name="words")(words)
    text = keras.Model(words, keras.layers.Dense(3)(keras.layers.GRU(4)(x)))
    with pytest.raises(ValueError, match=r"mask of padding.*Received"):
        SelfDistiller(text, ["words"]).early_exit(0.5)

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.layers.Dense(4, name="inner")
            self.scores = keras.layers.Dense(3, name="scores")

        def call(self, x):
            return self.scores(self.inner(x))

    model = Subclassed()
    model(np.ones((1, 4), "float32"))
    with pytest.raises(ValueError, match=r"Functional and Sequential.*Subclassed"):
        SelfDistiller(model, ["inner"]).early_exit(0.5)
    with pytest.raises(ValueError, match="cut"):
        EarlyExit(model, {"inner": Tap("inner")}, {}, 0.5, from_logits=True)

"""Permutation importance of inputs and of layers."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import inferred, linear, log_softmax, net

from keras_kd.evaluation import FeatureImportance, importance
from keras_kd.evaluation.permuted_layers import PermutedLayer
from keras_kd.features import Tap

pytestmark = pytest.mark.core

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 4)).astype("float32")
Y = RNG.integers(0, 3, 70)
WEIGHTS = RNG.random(70).astype("float32")
KERNEL = RNG.normal(size=(4, 3)).astype("float32")
KERNEL[2] = 0.0  # what is ignored


def orders(repeats=5, seed=0):
    return [np.random.default_rng([seed, number]).permutation(len(X)) for number in range(repeats)]


def quality(logits, weights=None):
    """Accuracy and NLL in float64."""
    right = logits.argmax(-1) == Y
    nll = -log_softmax(logits)[np.arange(len(Y)), Y]
    return np.array([np.average(each, weights=weights) for each in (right, nll)])


def expected(before, after, weights=None):
    """Means and deviations of what accuracy and NLL lose."""
    falls = [quality(before, weights) - quality(logits, weights) for logits in after]
    falls = np.array(falls) * [1.0, -1.0]
    return falls.mean(axis=0), falls.std(axis=0, ddof=1)


def assert_row(row, before, after, weights=None):
    means, spreads = expected(before, after, weights)
    assert [row["accuracy"], row["nll"]] == pytest.approx(means, abs=1e-5)
    assert [row["accuracy_sd"], row["nll_sd"]] == pytest.approx(spreads, abs=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_columns_equal_a_computation_in_numpy_and_an_ignored_one_is_exactly_zero(weights):
    data = (X, Y) if weights is None else (X, Y, weights)
    found = importance(linear(KERNEL), data)
    assert [row["feature"] for row in found.rows] == [f"column {n}" for n in range(4)]
    for column, row in enumerate(found.rows):
        after = []
        for order in orders():
            x = X.copy()
            x[:, column] = X[order, column]
            after.append(x.astype("float64") @ KERNEL)
        assert_row(row, X.astype("float64") @ KERNEL, after, weights)
    ignored = found.rows[2]
    assert [ignored[key] for key in ("accuracy", "accuracy_sd", "nll", "nll_sd")] == [0.0] * 4
    assert found.rows[0]["nll"] != 0.0
    (baseline,) = found.baseline.values()
    means = quality(X.astype("float64") @ KERNEL, weights)
    assert list(baseline.values()) == pytest.approx(means, abs=1e-5)


def test_a_layer_equals_its_permuted_value_and_the_rest_run_by_hand():
    model = net(seed=3)
    hidden, scores = model.get_layer("hidden"), model.get_layer("scores")
    value = keras.ops.convert_to_numpy(hidden(X))
    run = lambda h: keras.ops.convert_to_numpy(scores(h))  # noqa: E731
    given = {"layers": ["hidden", Tap("scores", side="input")], "channels": True, "repeats": 3}
    found = importance(model, (X, Y), seed=4, **given)
    names = ["hidden", *(f"hidden[{n}]" for n in range(5))]
    names += ["scores:input", *(f"scores:input[{n}]" for n in range(5))]
    assert [row["feature"] for row in found.rows] == names
    assert [row["kind"] for row in found.rows] == 2 * ["layer", *["channel"] * 5]
    after = [run(value[order]) for order in orders(3, seed=4)]
    assert_row(found.rows[0], run(value), after)
    for key in ("accuracy", "nll", "nll_sd"):
        assert found.rows[6][key] == pytest.approx(found.rows[0][key], abs=1e-6)
    after = []
    for order in orders(3, seed=4):
        mixed = value.copy()
        mixed[:, 1] = value[order, 1]
        after.append(run(mixed))
    assert_row(found.rows[2], run(value), after)
    assert "call" not in vars(hidden)


@pytest.mark.alike
def test_what_leads_around_a_layer_stays_as_it_is():
    inputs = keras.Input((4, 4, 2))
    conv = layers.Conv2D(2, 3, padding="same", name="conv")
    added = layers.Add()([inputs, conv(inputs)])
    scores = layers.Dense(3, name="scores")(layers.GlobalAveragePooling2D(name="pool")(added))
    inner = keras.Model(inputs, scores, name="inner")
    outer = keras.Sequential([keras.Input((4, 4, 2)), inner])
    x = RNG.normal(size=(70, 4, 4, 2)).astype("float32")
    found = importance(outer, (x, Y), layers=["inner/conv"], repeats=2)
    rest = keras.Model(inputs, inner.get_layer("scores").output)
    value = keras.ops.convert_to_numpy(conv(x))
    pooled = [(x + value[order]).mean(axis=(1, 2)) for order in orders(2)]
    kernel, bias = inner.get_layer("scores").get_weights()
    assert_row(found.rows[0], inferred(rest, x), [each @ kernel + bias for each in pooled])


REAL = np.arange(5) < RNG.integers(1, 6, (40, 1))
TOKENS = np.where(REAL, RNG.integers(1, 9, (40, 5)), 0)


def of_tokens():
    """A mask that comes out of a nested model, goes through a layer, and decides in a third."""
    keras.utils.set_random_seed(0)
    tokens = keras.Input((5,), dtype="int32")
    words = layers.Embedding(9, 4, mask_zero=True, name="words")(tokens)
    inner, inputs = keras.Model(tokens, words, name="inner"), keras.Input((5,), dtype="int32")
    hidden = layers.Dense(4, "tanh", name="hidden")(inner(inputs))
    pooled = layers.GlobalAveragePooling1D(name="pool")(hidden)
    return keras.Model(inputs, layers.Dense(3, name="scores")(pooled)), TOKENS


def of_vectors():
    """A mask that a layer sets while it runs, and does not tell otherwise."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 2))
    pooled = layers.GlobalAveragePooling1D()(layers.Masking(name="mask")(inputs))
    x = RNG.normal(size=(40, 5, 2)) * REAL[..., None]
    return keras.Model(inputs, layers.Dense(3)(pooled)), x.astype("float32")


@pytest.mark.parametrize(
    ("make", "tap"),
    [
        (of_tokens, "inner"),
        (of_tokens, "inner/words"),
        (of_tokens, "hidden"),
        (of_tokens, Tap("pool", side="input")),
        (of_vectors, "mask"),
    ],
)
def test_a_masked_sequence_keeps_its_mask_whatever_set_it(make, tap):
    model, x = make()
    layer = PermutedLayer(model, Tap.of(tap), x, "model")
    before = layer.answers(None)
    np.testing.assert_allclose(layer.answers(np.arange(40)), before, atol=1e-6)
    order = np.random.default_rng(1).permutation(40)
    # What is pooled is a vector a token, so that it can be permuted as well as what it is made of.
    vectors = x
    if make is of_tokens:
        embeddings, kernel, bias = model.get_weights()[:3]
        vectors = np.tanh(embeddings[x] @ kernel + bias)
    pooled = (vectors[order] * REAL[..., None]).sum(1) / REAL.sum(1, keepdims=True)
    kernel, bias = model.get_weights()[-2:]
    np.testing.assert_allclose(layer.answers(order), pooled @ kernel + bias, atol=1e-5)


@pytest.mark.alike
def test_an_input_and_a_layer_of_one_name_both_stand_in_the_table():
    pytest.importorskip("matplotlib")
    found = importance(net(), (X, Y), inputs={"hidden": [0, 1], "b": 2}, layers=["hidden"])
    assert sorted(found.features) == ["b", "hidden (input)", "hidden (layer)"]
    assert [row["feature"] for row in found.rows] == ["hidden", "b", "hidden"]
    lines = found.to_markdown().splitlines()[2:5]
    assert {line.split(" | ")[0][2:] for line in lines} == set(found.features)
    bars = found.plot().axes[1].patches
    assert sorted(bar.get_width() for bar in bars) == sorted(row["nll"] for row in found.rows)


@pytest.mark.alike
def test_inputs_by_name_columns_of_them_and_groups():
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    out = layers.Dense(3)(layers.Concatenate()([a, b]))
    model = keras.Model({"a": a, "b": b}, out)
    x = {"a": X[:, :2], "b": X[:, 1:], "other": X}
    wanted = {"all of a": "a", "pair": [("a", 1), ("b", 0)], "unknown to it": "other"}
    found = importance(model, (x, Y), inputs=wanted, repeats=2)
    whole, pair, unknown = found.rows
    before = inferred(model, {"a": x["a"], "b": x["b"]})

    def after(change):
        given = []
        for order in orders(2):
            changed = {"a": x["a"].copy(), "b": x["b"].copy()}
            change(changed, order)
            given.append(inferred(model, changed))
        return given

    def all_of_a(changed, order):
        changed["a"] = x["a"][order]

    def both(changed, order):
        changed["a"][:, 1] = x["a"][order, 1]
        changed["b"][:, 0] = x["b"][order, 0]

    assert_row(whole, before, after(all_of_a))
    assert_row(pair, before, after(both))
    assert unknown["nll"] == 0.0
    by_name = importance(model, (x, Y), repeats=2)
    assert [row["feature"] for row in by_name.rows] == ["a", "b", "other"]
    assert by_name.rows[0]["nll"] == whole["nll"]


@pytest.mark.alike
def test_numbers_and_labels_have_their_own_figures():
    kernel = np.array([[1.0], [0.0], [0.0], [2.0]])
    y = (X @ kernel).astype("float32")
    found = importance(linear(kernel), (X, y), inputs={"d": 3}, repeats=1)
    (order,) = orders(1)
    error = 2.0 * (X[order, 3] - X[:, 3]).astype("float64")
    assert found.rows[0]["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert found.rows[0]["mse"] == pytest.approx((error**2).mean(), rel=1e-5)
    assert found.rows[0]["mae_sd"] is None
    labels = (X @ KERNEL > 0).astype("int32")
    rows = importance(linear(KERNEL), (X, labels), inputs=[0, 2], repeats=2).rows
    x = X.copy()
    falls = []
    for order in orders(2):
        x[:, 0] = X[order, 0]
        falls.append(1.0 - ((x @ KERNEL > 0) == labels).mean())
    assert rows[0]["accuracy"] == pytest.approx(np.mean(falls), abs=1e-6)
    assert rows[1]["nll"] == 0.0


@pytest.mark.alike
def test_two_models_stand_in_one_table_and_see_the_same_permutations(tmp_path):
    pytest.importorskip("matplotlib")
    models = {"student": linear(KERNEL), "teacher": net(8, seed=2)}
    given = {"layers": {"teacher": ["hidden"]}, "inputs": [0, 2], "repeats": 2}
    found = importance(models, (X, Y), **given)
    alone = importance(models["teacher"], (X, Y), inputs=[0], repeats=2).rows[0]
    assert found.rows[1] == {**alone, "model": "teacher"}
    lines = found.to_markdown().splitlines()
    heads = "| Feature | student: Accuracy (points) | student: NLL |"
    assert lines[0].startswith(heads + " teacher: Accuracy (points)")
    assert {line.split(" | ")[0] for line in lines[2:5]} == {"| column 0", "| column 2", "| hidden"}
    assert (
        lines[-1] == "How much worse, mean ± standard deviation of 2 permutations over 70 examples."
    )
    figure = found.plot(tmp_path / "importance.png")
    right = figure.axes[1]
    drawn = sorted(bar.get_width() for bar in right.patches)
    assert drawn == pytest.approx(sorted(row["nll"] for row in found.rows))
    page = found.to_html(tmp_path / "importance.html").read_text(encoding="utf-8")
    assert '<th scope="row">column 0</th>' in page and "data:image/png;base64," in page
    assert isinstance(found, FeatureImportance) and "features=3" in repr(found)


@pytest.mark.alike
def test_a_data_set_in_batches_is_permuted_as_a_whole():
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(9)
    found = importance(linear(KERNEL), data, repeats=2)
    assert found.rows == [
        {**row, "model": found.rows[0]["model"]}
        for row in importance(linear(KERNEL), (X, Y), repeats=2).rows
    ]


@pytest.mark.alike
@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"repeats": 0}, ValueError, "`repeats` must be a whole number of at least 1"),
        ({"layers": ["hiden"]}, ValueError, r"no such layer.*Did you mean 'hidden'"),
        ({"layers": "hidden"}, TypeError, "`layers` must be a list"),
        ({"layers": []}, TypeError, "`layers` must be a list"),
        ({"layers": {"teacher": ["hidden"]}}, ValueError, "are named as the models"),
        ({"layers": [Tap("hidden", side="attention_scores")]}, ValueError, "output or the input"),
        ({"inputs": [4]}, ValueError, "no such column.*columns 0 to 3"),
        ({"inputs": [True]}, ValueError, "no such column"),
        ({"inputs": ["age"]}, ValueError, "no such column"),
        ({"inputs": 0}, TypeError, "`inputs` must be a list"),
        ({"inputs": [0, 0]}, ValueError, "`inputs` must be some that differ"),
        ({"inputs": {}}, ValueError, "`inputs` must be some that differ"),
        ({"channels": 1}, ValueError, "`channels` must be True or False"),
    ],
)
def test_a_wrong_argument_is_told(given, error, said):
    with pytest.raises(error, match=said):
        importance(net(), (X, Y), **given)


@pytest.mark.alike
def test_data_or_models_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="`data` has no labels"):
        importance(net(), X)
    with pytest.raises(ValueError, match="One model a name was expected"):
        importance({"student": [net(), net(seed=1)]}, (X, Y))
    two = {"a": X, "b": X}
    with pytest.raises(ValueError, match=r"no such input.*Did you mean 'b'"):
        importance(net(), (two, Y), inputs=["bb"])


class Skipping(keras.Model):
    """Holds a layer that never runs, and one that runs twice."""

    def __init__(self):
        super().__init__()
        self.spare, self.twice = layers.Dense(4, name="spare"), layers.Dense(4, name="twice")
        self.scores = layers.Dense(3, name="scores")

    def call(self, x):
        return self.scores(self.twice(self.twice(x)))


@pytest.mark.alike
def test_a_layer_that_does_not_run_or_runs_twice_is_told():
    model = Skipping()
    model(X)
    with pytest.raises(ValueError, match=r"did not run.*layer='spare'"):
        importance(model, (X, Y), layers=["spare"])
    with pytest.raises(ValueError, match="runs 2 times in a forward pass: say which"):
        importance(model, (X, Y), layers=["twice"])
    found = importance(model, (X, Y), layers=[Tap("twice", call=1)], repeats=1)
    kernel, bias = model.scores.get_weights()
    value = keras.ops.convert_to_numpy(model.twice(model.twice(X)))
    (order,) = orders(1)
    fall = quality(value[order] @ kernel + bias)[1] - quality(value @ kernel + bias)[1]
    assert found.rows[0]["nll"] == pytest.approx(fall, abs=1e-5)

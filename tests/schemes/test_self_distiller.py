"""A model whose deepest classifier teaches others, against the equation computed by hand."""

import keras
import numpy as np
import pytest
from models_for_tests import (
    COMPILED,
    EAGER,
    assert_same_weights,
    cross_entropy,
    examples,
    inferred,
    kd,
    log_softmax,
    numbers,
    sgd,
    softmax,
)

from keras_kd.features import Tap
from keras_kd.losses import BinaryKDLoss
from keras_kd.schemes import SelfDistiller

pytestmark = pytest.mark.core
T, ALPHA, HINT = 2.0, 0.7, 0.3


def deep(activation=None, units="linear", seed=0, dtype=None, scores="float32"):
    """4 inputs, two hidden vectors of 5 and of 6, scores of 3 classes."""
    keras.utils.set_random_seed(seed)
    layers = [
        keras.layers.Dense(5, units, name="first", dtype=dtype),
        keras.layers.Dense(6, units, name="second", dtype=dtype),
        keras.layers.Dense(3, activation, name="scores", dtype=scores),
    ]
    return keras.Sequential([keras.Input((4,)), *layers], name="deep")


def plain_head(name, feature):
    hidden = keras.layers.Dense(6, name="hidden", use_bias=False)(feature)
    return hidden, keras.layers.Dense(3, name="scores", use_bias=False)(hidden)


def compiled(model, exits=("first",), metrics=None, loss=None, how=EAGER, **kwargs):
    distiller = SelfDistiller(model, exits, **kwargs)
    distiller.compile(sgd(), cross_entropy() if loss is None else loss, metrics=metrics, **how)
    return distiller


def by_hand(distiller, x):
    """The vectors and scores of the exit and of the model, all of them linear, in float64."""
    first, second, last = (
        [np.asarray(w, "float64") for w in layer.get_weights()] for layer in distiller.model.layers
    )
    to_hidden, to_scores = numbers(distiller.heads["first"])
    f = x.astype("float64") @ first[0] + first[1]
    deepest = f @ second[0] + second[1]
    hidden = f @ to_hidden
    return hidden, hidden @ to_scores, deepest, deepest @ last[0] + last[1]


def made_by_hand(**kwargs):
    return compiled(
        deep(), head=plain_head, temperature=T, alpha=ALPHA, feature_weight=HINT, **kwargs
    )


@pytest.mark.alike
def test_loss_against_float64():
    x, y = examples()
    distiller = made_by_hand()
    hidden, scores, deepest, own = by_hand(distiller, x)
    logs = distiller.test_on_batch(x, y, return_dict=True)
    picked = np.arange(len(y)), y
    expected = {
        "first_loss": -log_softmax(scores)[picked].mean(),
        "deepest_loss": -log_softmax(own)[picked].mean(),
        "first_kd_loss": kd(own, scores, T).mean(),
        "first_feature_loss": np.square(hidden - deepest).sum(-1).mean(),
    }
    assert set(logs) == {*expected, "loss"}
    loss = expected["deepest_loss"] + ALPHA * expected["first_loss"]
    loss += (1 - ALPHA) * expected["first_kd_loss"] + HINT * expected["first_feature_loss"]
    for name, value in {**expected, "loss": loss}.items():
        np.testing.assert_allclose(logs[name], value, rtol=2e-5, err_msg=name)


def test_the_deepest_classifier_learns_from_the_labels_alone():
    x, y = examples()
    distiller = made_by_hand()
    hidden, scores, deepest, own = by_hand(distiller, x)
    before = numbers(distiller.model.get_layer("scores"))
    _, to_scores = numbers(distiller.heads["first"])
    distiller.train_on_batch(x, y)
    slope = (softmax(own) - np.eye(3)[y]) / len(x)
    kernel, bias = numbers(distiller.model.get_layer("scores"))
    np.testing.assert_allclose(kernel, before[0] - 0.1 * deepest.T @ slope, atol=1e-6)
    np.testing.assert_allclose(bias, before[1] - 0.1 * slope.sum(0), atol=1e-6)
    # The exit: d T^2 KL(p_C || p) / dz = T (p_T - p_C_T), with the teacher held still.
    slope = ALPHA * (softmax(scores) - np.eye(3)[y])
    slope = (slope + (1 - ALPHA) * T * (softmax(scores / T) - softmax(own / T))) / len(x)
    _, to_scores_after = numbers(distiller.heads["first"])
    np.testing.assert_allclose(to_scores_after, to_scores - 0.1 * hidden.T @ slope, atol=1e-6)


@pytest.mark.alike
def test_weights_of_examples_count_in_every_term():
    x, y = examples()
    weights = np.array([0.0, 1.0, 3.0] * 4)
    distiller = made_by_hand()
    hidden, scores, deepest, own = by_hand(distiller, x)
    logs = distiller.test_on_batch(x, y, sample_weight=weights, return_dict=True)
    expected = (kd(own, scores, T) * weights).mean()
    np.testing.assert_allclose(logs["first_kd_loss"], expected, rtol=1e-5)
    expected = (np.square(hidden - deepest).sum(-1) * weights).mean()
    np.testing.assert_allclose(logs["first_feature_loss"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "how",
    [EAGER, pytest.param({**COMPILED, "steps_per_execution": 2}, marks=pytest.mark.slow)],
    ids=["simple", "compiled"],
)
def test_fit_trains_heads_and_a_model_that_stays_what_it_was(how):
    x, y = examples(24)
    model = deep(units="tanh")
    config, before = model.get_config(), numbers(model)
    distiller = compiled(model, ["first", Tap("second")], ["accuracy"], how=how)
    history = distiller.fit(
        x, y, batch_size=6, class_weight={0: 1.0, 1: 2.0, 2: 1.0}, validation_data=(x, y), verbose=0
    ).history
    wanted = {"loss"} | {
        f"{name}_{log}" for name in ("first", "second", "deepest") for log in ("loss", "accuracy")
    }
    wanted |= {f"{n}_{log}_loss" for n in ("first", "second") for log in ("kd", "feature")}
    assert set(history) == wanted | {f"val_{name}" for name in wanted}
    assert distiller.model is model
    assert model.get_config() == config
    assert [w.shape for w in before] == [w.shape for w in numbers(model)]
    assert all(np.abs(a - b).max() > 0 for a, b in zip(before, numbers(model), strict=True))
    given = inferred(distiller, x)
    np.testing.assert_allclose(given["deepest"], inferred(model, x), atol=1e-6)
    model.run_eagerly = how["run_eagerly"]
    alone = model.evaluate(x, y, verbose=0, return_dict=True)
    assert alone["accuracy"] == pytest.approx(history["val_deepest_accuracy"][-1])


@pytest.mark.alike
def test_maps_get_heads_of_the_models_kind():
    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu", name="early")(pixels)
    x = keras.layers.Conv2D(12, 3, strides=2, activation="relu", name="late")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    image_model = keras.Model(pixels, keras.layers.Dense(3, "softmax")(x))
    distiller = SelfDistiller(image_model, ["early", "late"])
    assert distiller.heads["early"].output["hidden"].shape == (None, 12)
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype("float32")
    given = inferred(distiller, x)
    found = distiller.early_exit(2.0)(x, batch_size=2)
    np.testing.assert_allclose(found.outputs, inferred(image_model, x), atol=1e-5)
    np.testing.assert_allclose(given["early"].sum(-1), 1.0, atol=1e-6)


@pytest.mark.alike
def test_padding_counts_for_nothing_in_a_sequences_head():
    words = keras.Input((5,), dtype="int32")
    x = keras.layers.Embedding(9, 4, mask_zero=True, name="words")(words)
    x = keras.layers.Dense(6, name="top")(x)
    text_model = keras.Model(words, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(x)))
    distiller = SelfDistiller(text_model, ["words"])
    padded = np.array([[3, 4, 5, 0, 0]])
    head = distiller.heads["words"]
    dense = head.layers[1]
    vectors = numbers(text_model.layers[1])[0][padded[0, :3]]
    kernel, bias = numbers(dense)
    pooled = np.maximum(vectors @ kernel + bias, 0.0).mean(0)  # of the real words alone
    (to_hidden, b), (to_scores, c) = (numbers(head.get_layer(n)) for n in ("hidden", "scores"))
    expected = (pooled @ to_hidden + b) @ to_scores + c
    np.testing.assert_allclose(inferred(distiller, padded)["words"][0], expected, atol=1e-5)


@pytest.mark.alike
def test_numbers_follow_a_running_training_and_multilabel_models_are_taught():
    x, y = examples()
    distiller = made_by_hand()
    first = distiller.test_on_batch(x, y, return_dict=True)
    distiller.alpha.assign(1.0)
    distiller.feature_weight.assign(0.0)
    second = distiller.test_on_batch(x, y, return_dict=True)
    np.testing.assert_allclose(
        second["loss"], first["first_loss"] + first["deepest_loss"], rtol=1e-5
    )
    yes_no = compiled(deep("sigmoid"), loss="binary_crossentropy", kd_loss=BinaryKDLoss())
    answers = inferred(yes_no, x)["first"]
    assert ((answers > 0) & (answers < 1)).all()
    assert np.isfinite(yes_no.fit(x, np.eye(3)[y], verbose=0).history["first_kd_loss"][0])


@pytest.mark.alike
def test_saved_and_resumed(tmp_path):
    x, y = examples()
    distiller = SelfDistiller(deep(units="tanh"), ["first"], head=plain_head, alpha=ALPHA)
    distiller.compile("adam", cross_entropy(), metrics=["accuracy"], **EAGER)
    distiller.fit(x, y, verbose=0)
    distiller.save(tmp_path / "both.keras")
    loaded = keras.saving.load_model(tmp_path / "both.keras")
    assert loaded.get_config() == distiller.get_config()
    for each in (distiller, loaded):
        each.run_eagerly = EAGER["run_eagerly"]
        each.fit(x, y, shuffle=False, verbose=0)
    assert_same_weights(loaded, distiller)
    distiller.save_weights(tmp_path / "both.weights.h5")
    twin = SelfDistiller(deep(units="tanh", seed=3), ["first"], head=plain_head)
    twin.load_weights(tmp_path / "both.weights.h5")
    assert_same_weights(twin.model, distiller.model)
    assert_same_weights(twin.heads["first"], distiller.heads["first"])


@pytest.mark.alike
def test_half_precision():
    x, y = examples()
    model = deep(dtype="mixed_float16")
    model.dtype_policy = keras.DTypePolicy("mixed_float16")
    distiller = compiled(model)
    assert isinstance(distiller.optimizer, keras.optimizers.LossScaleOptimizer)
    assert np.isfinite(distiller.fit(x, y, verbose=0).history["first_feature_loss"][0])
    low = SelfDistiller(deep(dtype="mixed_bfloat16", scores="mixed_bfloat16"), ["first"])
    assert {weight.dtype for weight in low.heads["first"].weights} == {"float32"}
    assert {each.dtype for each in low(x).values()} == {low(x)["deepest"].dtype}

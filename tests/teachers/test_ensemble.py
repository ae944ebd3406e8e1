import keras
import numpy as np
import pytest
from models_for_tests import (
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    inferred,
    kd,
    linear,
    log_softmax,
    net,
    numbers,
    softmax,
)

from keras_kd import Distiller
from keras_kd.features.model_spec import input_spec, inspect_model
from keras_kd.losses import FitNetLoss, KDLoss
from keras_kd.teachers import Ensemble

pytestmark = pytest.mark.core
X, Y = examples(6)


def logits_of(*models):
    return [np.asarray(inferred(model, X), "float64") for model in models]


def kind(model):
    return inspect_model(model, input_spec(model.models[0]), {}).is_logits


def test_the_mean_of_probabilities_is_given_as_logits():
    members = [net(seed=1), net(seed=2), net(seed=3)]
    ensemble = Ensemble(members, weights=[1.0, 2.0, 1.0])
    zs = logits_of(*members)
    expected = sum(w * softmax(z) for w, z in zip((0.25, 0.5, 0.25), zs, strict=True))
    np.testing.assert_allclose(softmax(inferred(ensemble, X)), expected, atol=1e-6)
    assert kind(ensemble) == [True]


def test_the_mean_of_logits_is_the_geometric_mean_of_probabilities():
    members = [net(seed=1), net(seed=2)]
    given = inferred(Ensemble(members, average="logits"), X)
    np.testing.assert_allclose(given, np.mean(logits_of(*members), axis=0), atol=1e-6)


@pytest.mark.alike
def test_votes_are_shares_of_the_members():
    members = [linear([[5.0, 0.0, 0.0]]), linear([[4.0, 1.0, 0.0]]), linear([[0.0, 0.0, 1.0]])]
    ensemble = Ensemble(members, weights=[1.0, 1.0, 2.0], average="vote")
    np.testing.assert_allclose(ensemble.predict(np.ones((1, 1)), verbose=0), [[0.5, 0.0, 0.5]])
    assert kind(ensemble) == [False]


@pytest.mark.alike
def test_members_may_end_in_softmax_or_in_logits():
    plain, soft = net(seed=1), net(seed=1, activation="softmax")
    for average in ("probabilities", "vote", "logits"):
        ensemble = Ensemble([plain, soft], average=average)
        alone = Ensemble([plain], average=average)
        given, expected = inferred(ensemble, X), inferred(alone, X)
        if average == "logits":  # of probabilities, logits are known up to a constant
            given, expected = log_softmax(given), log_softmax(expected)
        np.testing.assert_allclose(given, expected, atol=1e-5)


def test_multi_label_members_are_averaged_by_their_sigmoid():
    members = [net(seed=1), net(seed=2, activation="sigmoid")]
    first, second = logits_of(*members)
    expected = (1.0 / (1.0 + np.exp(-first)) + second) / 2.0
    given = inferred(Ensemble(members, activation="sigmoid"), X)
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-given)), expected, atol=1e-6)


@pytest.mark.alike
def test_one_number_is_a_yes_or_no_or_a_value_and_no_softmax():
    members = [net(seed=1, classes=1), net(seed=2, classes=1, activation="sigmoid")]
    first, second = logits_of(*members)
    given = inferred(Ensemble(members, activation="sigmoid"), X)
    expected = (1.0 / (1.0 + np.exp(-first)) + second) / 2.0
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-given)), expected, atol=1e-6)
    values = [net(seed=1, classes=1), net(seed=3, classes=1)]  # regressions
    given = inferred(Ensemble(values, average="logits"), X)
    np.testing.assert_allclose(given, np.mean(logits_of(*values), axis=0), atol=1e-6)


def test_gaps_of_1000_between_logits_stay_finite():
    members = [linear([[1000.0, 0.0]]), linear([[0.0, 1000.0]])]
    given = Ensemble(members).predict(np.ones((1, 1)), verbose=0)
    np.testing.assert_allclose(given, np.log([[0.5, 0.5]]), atol=1e-6)


def test_it_teaches_like_any_teacher():
    members, student = [net(7, seed=1), net(9, seed=2)], net(3, seed=3)
    teacher = Ensemble(members)
    before = numbers(teacher)
    z_teacher, z_student = (np.asarray(inferred(m, X)) for m in (teacher, student))
    model = distiller(student, teacher, alpha=0.0, temperature=3.0)
    loss = model.fit(X, Y, verbose=0).history["kd_loss"][0]
    assert loss == pytest.approx(kd(z_teacher, z_student, 3.0).mean(), rel=1e-4)
    for weight, was in zip(numbers(teacher), before, strict=True):
        np.testing.assert_array_equal(weight, was)


def test_its_members_layers_can_be_matched():
    members = [net(7, seed=1), net(7, seed=2)]
    members[0].name, members[1].name = "first", "second"
    loss = FitNetLoss(layers={"hidden": "second/hidden"})
    model = distiller(net(3), Ensemble(members), feature_losses=[loss])
    assert np.isfinite(model.fit(X, Y, verbose=0).history["fit_net_loss"][0])


@pytest.mark.alike
def test_a_distiller_with_an_ensemble_is_saved_and_resumed(tmp_path):
    model = Distiller(net(3), Ensemble([net(7, seed=1), net(9, seed=2)], weights=[1.0, 3.0]))
    model.compile("sgd", cross_entropy())
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    np.testing.assert_allclose(inferred(loaded.teacher, X), inferred(model.teacher, X), atol=1e-6)
    for each in (model, loaded):
        each.fit(X, Y, shuffle=False, verbose=0)
    assert_same_weights(loaded.student, model.student)


def test_outputs_of_several_heads_are_averaged_head_by_head():
    def heads(seed):
        keras.utils.set_random_seed(seed)
        x = keras.Input((4,))
        return keras.Model(
            x, {"a": keras.layers.Dense(2, name="a")(x), "b": keras.layers.Dense(3, name="b")(x)}
        )

    members = [heads(0), heads(1)]
    given = inferred(Ensemble(members, average="logits"), X)
    each = [inferred(member, X) for member in members]
    for name in ("a", "b"):
        expected = (each[0][name] + each[1][name]) / 2.0
        np.testing.assert_allclose(given[name], expected, atol=1e-6)


def test_what_one_member_masks_the_ensemble_masks():
    words = np.array([[1, 2, 0], [4, 0, 0]], "int32")

    def tagger(seed, mask):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((3,), dtype="int32")
        hidden = keras.layers.Embedding(5, 4, mask_zero=mask)(inputs)
        return keras.Model(inputs, keras.layers.Dense(3)(hidden))

    student, teacher = tagger(0, False), Ensemble([tagger(1, True), tagger(2, False)])
    expected = kd(inferred(teacher, words), inferred(student, words), 4.0)[words > 0].mean()
    model = distiller(student, teacher, alpha=0.0)
    loss = model.fit(words, verbose=0).history["kd_loss"][0]
    assert loss == pytest.approx(expected, rel=1e-4)


def test_the_ensemble_of_a_distiller_runs_each_member_once():
    calls = []

    class Counting(keras.layers.Layer):
        def call(self, x):
            calls.append(self.name)
            return x

    def member(name):
        x = keras.Input((4,))
        return keras.Model(x, keras.layers.Dense(3)(Counting(name=name)(x)))

    ensemble = Ensemble([member("one"), member("two")])
    calls.clear()
    ensemble(X)
    assert calls == ["one", "two"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"models": []}, "at least one keras.Model"),
        ({"models": [3]}, r"Received: models\[0\]=3"),
        ({"models": [net(), keras.Sequential([keras.layers.Dense(3)])]}, "not built"),
        ({"models": [net(), net(classes=4)]}, "one structure and shape"),
        ({"weights": [1.0]}, r"Received: weights=\[1.0\]"),
        ({"weights": [1.0, -1.0]}, "at least 0"),
        ({"weights": [0.0, 0.0]}, "not all be 0"),
        ({"weights": [1.0, float("nan")]}, "`weights` must be"),
        ({"average": "mean"}, "Received: average='mean'"),
        ({"activation": "relu"}, "Received: activation='relu'"),
        ({"from_logits": "no"}, r"True, False or None. Received: from_logits='no'"),
        ({"from_logits": [True]}, r"Received: from_logits=\[True\]"),
        ({"models": [net(activation="tanh")]}, "Received: member"),
        ({"models": [net(classes=1)]}, "over one class.*activation='sigmoid'"),
        ({"models": [net(classes=1, activation="sigmoid")], "average": "vote"}, "over one class"),
        ({"models": [net(activation="sigmoid")]}, "take activation='sigmoid'"),
        (
            {"models": [net(), net(activation="softmax")], "activation": "sigmoid"},
            "take activation='softmax'",
        ),
    ],
)
def test_what_is_no_ensemble_is_refused(arguments, error):
    with pytest.raises((TypeError, ValueError), match=error):
        Ensemble(**{"models": [net(), net(seed=1)], **arguments})


def test_what_it_gives_can_be_declared():
    ensemble = Ensemble([net(activation="tanh")], from_logits=True)
    distiller(net(), ensemble, kd_loss=KDLoss())


def test_it_takes_the_dtypes_that_its_members_take():
    def words(name):
        tokens = keras.Input((4,), dtype="int32")
        vectors = keras.layers.Embedding(9, 2)(tokens)
        return keras.Model(tokens, keras.layers.GlobalAveragePooling1D()(vectors), name=name)

    (tokens,) = Ensemble([words("one"), words("other")], average="logits").inputs
    assert tokens.dtype == "int32"

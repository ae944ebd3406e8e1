"""Small models that train as one, against float64."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    COMPILED,
    EAGER,
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    inferred,
    kd,
    largest_move,
    linear,
    log_softmax,
    logs,
    net,
    numbers,
    sgd,
    softmax,
)
from variants import first_of

from keras_kd import TeacherCache
from keras_kd.export import export_student
from keras_kd.features.model_spec import input_spec, inspect_model
from keras_kd.schemes import JointEnsemble

pytestmark = pytest.mark.core
X, Y = examples(8)
AVERAGES = ("probabilities", "logits", "vote")
every_average = pytest.mark.parametrize(
    "average",
    [AVERAGES[0], *(pytest.param(name, marks=pytest.mark.alike) for name in AVERAGES[1:])],
)


def named(model, name):
    model.name = name
    return model


def team(**kwargs):
    """Three linear members of other weights each, `a` to `c`."""
    kernels = np.random.default_rng(1).normal(size=(3, 4, 3))
    return [
        named(linear(kernel, **kwargs), name) for kernel, name in zip(kernels, "abc", strict=True)
    ]


def ensemble(average="probabilities", models=None, rate=1.0, compiled=EAGER, **kwargs):
    model = JointEnsemble(models or team(), average, **kwargs)
    model.compile(sgd(rate), cross_entropy(), **compiled)
    return model


def answer(zs, w, average):
    """The ensemble's answer to logits `(3, B, C)`, in float64."""
    w = np.asarray(w)[:, None, None]
    if average == "logits":
        return (w * zs).sum(0)
    p = softmax(zs) if average == "probabilities" else np.eye(3)[np.argmax(zs, -1)]
    return np.log(np.maximum((w * p).sum(0), 0.0 if average == "probabilities" else 1e-7))


def label_loss(z, y=Y, weights=None):
    losses = -log_softmax(z)[np.arange(len(y)), y]
    return losses.mean() if weights is None else (losses * weights).mean()


def logits_of(models):
    return np.stack([np.asarray(inferred(model, X), "float64") for model in models])


def steps_of_vector(model):
    """The vector whose softmax the weights are; its sum stays what it was, 0."""
    log_w = np.log(model.member_weights)
    return log_w - log_w.mean()


@every_average
def test_the_answer_against_float64(average):
    model = ensemble(average)
    z = answer(logits_of(model.members), [1 / 3] * 3, average)
    np.testing.assert_allclose(inferred(model, X), z, atol=1e-5)
    # The loss on labels is right with from_logits=True, of votes with those of the members.
    expected = label_loss(z)
    if average == "vote":
        expected += sum(label_loss(each) for each in logits_of(model.members))
    assert logs(model, X, Y)["loss"] == pytest.approx(expected, rel=1e-5)


@every_average
def test_the_weights_step_against_central_differences(average):
    models = team()
    for member in models:
        member.trainable = False
    model = ensemble(average, models)
    model.fit(X, Y, batch_size=8, verbose=0)  # from equal weights to others
    before, zs = steps_of_vector(model), logits_of(models)
    model.fit(X, Y, batch_size=8, verbose=0)

    def loss(v):
        return label_loss(answer(zs, softmax(v), average))

    slopes = [(loss(before + d) - loss(before - d)) / 2e-5 for d in 1e-5 * np.eye(3)]
    assert np.abs(slopes).max() > 1e-3
    np.testing.assert_allclose(steps_of_vector(model), before - slopes, atol=1e-5)


def test_the_members_step_against_the_gradient_of_their_mixture():
    model = ensemble()
    zs, before = logits_of(model.members), [numbers(member)[0] for member in model.members]
    model.fit(X, Y, batch_size=8, verbose=0)
    p = softmax(zs)
    right = p[:, np.arange(8), Y]
    share = right / right.sum(0)  # of the likelihood, what each member brought
    slopes = share[:, :, None] * (p - np.eye(3)[Y])
    for member, was, slope in zip(model.members, before, slopes, strict=True):
        np.testing.assert_allclose(numbers(member)[0], was - X.T @ slope / 8, atol=1e-5)


@pytest.fixture(scope="module")
def alone():
    """The members, each trained by itself."""
    models = team()
    for model in models:
        model.compile(sgd(1.0), cross_entropy(), **EAGER)
        model.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    return models


@pytest.mark.alike
@pytest.mark.parametrize("learn_weights", [True, False])
def test_with_a_vote_each_member_learns_as_if_it_were_alone(alone, learn_weights):
    model = ensemble("vote", learn_weights=learn_weights)
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    for member, other in zip(model.members, alone, strict=True):
        assert_same_weights(member, other, atol=1e-5)
    assert (model.member_weights == [1 / 3] * 3) is not learn_weights


@pytest.mark.alike
def test_members_may_end_in_softmax():
    plain = ensemble(models=team())
    mixed = team()
    mixed[1] = named(linear(numbers(mixed[1])[0], activation="softmax"), "b")
    mixed = ensemble(models=mixed)
    np.testing.assert_allclose(inferred(mixed, X), inferred(plain, X), atol=1e-5)
    for model in (plain, mixed):
        model.fit(X, Y, batch_size=8, verbose=0)
    assert_same_weights(mixed, plain, atol=1e-5)


@pytest.mark.alike
def test_multi_label_members_are_averaged_by_their_sigmoid():
    models = team()
    zs = logits_of(models)
    given = inferred(JointEnsemble(models, activation="sigmoid"), X)
    expected = (1 / (1 + np.exp(-zs))).mean(0)
    np.testing.assert_allclose(1 / (1 + np.exp(-given)), expected, atol=1e-6)
    shares = (zs > 0).mean(0).clip(1e-7, 1 - 1e-7)
    given = inferred(JointEnsemble(team(), "vote", activation="sigmoid"), X)
    np.testing.assert_allclose(given, np.log(shares / (1 - shares)), rtol=1e-2)


def test_the_logs_tell_how_good_each_member_is_and_what_it_weighs():
    model = ensemble(compiled=COMPILED)
    zs = logits_of(model.members)
    weights = np.linspace(0.5, 2.0, 8).astype("float32")
    model.compile(sgd(), cross_entropy(), metrics=["accuracy"], **COMPILED)
    history = model.fit(X, Y, sample_weight=weights, batch_size=8, verbose=0).history
    assert set(history) == {
        "accuracy",
        "loss",
        *(f"{name}_{log}" for name in "abc" for log in ("loss", "weight")),
    }
    z = answer(zs, [1 / 3] * 3, "probabilities")
    assert history["loss"][0] == pytest.approx(label_loss(z, weights=weights), rel=1e-4)
    for name, each in zip("abc", zs, strict=True):
        assert history[f"{name}_loss"][0] == pytest.approx(
            label_loss(each, weights=weights), rel=1e-4
        )
    found = logs(model, X, Y)
    assert [found[f"{name}_weight"] for name in "abc"] == pytest.approx(model.member_weights)


@pytest.mark.alike
def test_regularisers_count_once():
    models = team(kernel_regularizer="l2")
    expected = sum(0.01 * (numbers(model)[0] ** 2).sum() for model in models)
    expected += label_loss(answer(logits_of(models), [1 / 3] * 3, "probabilities"))
    found = logs(ensemble(models=models), X, Y)
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert found["a_loss"] == pytest.approx(label_loss(logits_of(models)[0]), rel=1e-5)


@pytest.mark.alike
def test_it_is_saved_and_goes_on(tmp_path):
    def dropping(name, seed):
        rate = layers.Dropout(0.5, seed=seed)
        return keras.Sequential([keras.Input((4,)), rate, layers.Dense(3)], name=name)

    model = ensemble(models=[dropping("one", 1), dropping("two", 2)], rate=0.1)
    model.fit(X, Y, shuffle=False, verbose=0)
    model.save(tmp_path / "ensemble.keras")
    loaded = keras.saving.load_model(tmp_path / "ensemble.keras")
    assert loaded.member_weights == model.member_weights != [0.5, 0.5]
    for each in (model, loaded):
        each.fit(X, Y, shuffle=False, verbose=0)
    assert_same_weights(loaded, model)


@pytest.mark.alike
@first_of("average", ["vote", "probabilities"])
def test_it_teaches_live_and_through_a_cache(average, tmp_path):
    keras.config.disable_interactive_logging()
    teacher, student = ensemble(average), net(3, seed=3)
    teacher.fit(X, Y, verbose=0)
    assert inspect_model(teacher, input_spec(teacher), {}).is_logits == [True]
    before, expected = numbers(teacher), kd(inferred(teacher, X), inferred(student, X), 2.0)
    settings = {"alpha": 0.0, "temperature": 2.0, "compiled": {"optimizer": sgd(0.0)}}
    live = distiller(student, teacher, **settings)
    data = TeacherCache(tmp_path / "cache", teacher, dtype="float32").label(X).batch(8)
    for model, x in ((live, X), (distiller(student, **settings), data)):
        found = model.fit(x, verbose=0).history["kd_loss"][0]
        assert found == pytest.approx(expected.mean(), rel=1e-4)
    assert largest_move(teacher, before) == 0.0
    live.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    np.testing.assert_allclose(inferred(loaded.teacher, X), inferred(teacher, X), atol=1e-6)
    keras.config.enable_interactive_logging()


def test_what_one_member_masks_counts_for_nothing():
    words = np.array([[1, 2, 3], [4, 0, 0]], "int32")

    def tagger(name, mask):
        inputs = keras.Input((3,), dtype="int32")
        hidden = layers.Embedding(5, 4, mask_zero=mask)(inputs)
        return keras.Model(inputs, layers.Dense(3)(hidden), name=name)

    tags = np.array([[0, 1, 2], [1, 0, 0]])
    model = ensemble(models=[tagger("one", True), tagger("two", False)])
    real = words > 0
    losses = -np.take_along_axis(log_softmax(inferred(model, words)), tags[..., None], -1)[..., 0]
    found = logs(model, words, tags)
    assert found["loss"] == pytest.approx(losses[real].mean(), rel=1e-4)


@pytest.mark.alike
def test_each_member_takes_its_own_of_inputs_by_name():
    def of(name, *keys):
        inputs = {key: keras.Input((4,), name=key) for key in keys}
        joined = layers.Concatenate()([*inputs.values(), inputs["a"]])
        return keras.Model(inputs, layers.Dense(3)(joined), name=name)

    model = ensemble(models=[of("one", "a"), of("two", "a", "b")])
    x = {"a": X, "b": X[::-1].copy()}
    model.fit(x, Y, verbose=0)
    one, two = model.members
    zs = [inferred(one, {"a": X}), inferred(two, x)]
    expected = answer(np.stack(zs), model.member_weights, "probabilities")
    np.testing.assert_allclose(inferred(model, x), expected, atol=1e-5)


@pytest.mark.alike
def test_it_is_exported_as_one_model(tmp_path, capsys):
    assert export_student(ensemble(), tmp_path / "ensemble.keras").agreement == 1.0


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exports are TensorFlow's")
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("file", ["ensemble.tflite", "ensemble"])
def test_it_is_exported_to_other_runtimes(tmp_path, capsys, average, file):
    pytest.importorskip("ai_edge_litert")
    model = ensemble(average)
    result = export_student(model, tmp_path / file, verify_data=(X, Y))
    assert result.agreement == 1.0


@pytest.mark.alike
def test_half_precision_is_averaged_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    models = [named(net(seed=1), "one"), named(net(seed=2), "two")]
    keras.config.set_dtype_policy("float32")
    model = ensemble(models=models, rate=0.1)
    history = model.fit(X, Y, verbose=0).history
    assert "float32" in str(model(X).dtype) and np.isfinite(history["loss"][0])


@pytest.mark.alike
@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(),
        keras.losses.sparse_categorical_crossentropy,
    ],
)
def test_a_loss_that_would_take_logits_for_probabilities_is_refused(loss):
    with pytest.raises(ValueError, match=r"from_logits=True.*Received: loss="):
        JointEnsemble(team()).compile("sgd", loss)


@pytest.mark.alike
def test_real_values_are_averaged_and_take_any_loss():
    models = [named(net(activation="tanh", seed=n), f"m{n}") for n in range(2)]
    model = JointEnsemble(models, "logits")
    model.compile("sgd", "mse", **EAGER)
    found = logs(model, X, np.zeros((8, 3), "float32"))
    assert found["loss"] == pytest.approx((logits_of(models).mean(0) ** 2).mean(), rel=1e-4)


@pytest.mark.alike
def test_it_learns_from_labels():
    with pytest.raises(ValueError, match="Received: y=None"):
        ensemble().fit(X, verbose=0)


@pytest.mark.alike
def test_as_a_student_it_learns_by_its_mean_and_not_by_a_vote():
    teacher, model = net(9, seed=4), ensemble()
    before = [numbers(member) for member in model.members]
    distiller(model, teacher, alpha=0.0).fit(X, verbose=0)
    assert all(largest_move(*pair) > 0 for pair in zip(model.members, before, strict=True))
    with pytest.raises(ValueError, match="A vote has no gradient"):
        distiller(ensemble("vote"), teacher, alpha=0.0).fit(X, verbose=0)


A, B = named(net(seed=1), "a"), named(net(seed=2), "b")
YES_NO = [named(net(classes=1, activation="sigmoid", seed=n), name) for n, name in enumerate("ab")]


@pytest.mark.alike
@pytest.mark.parametrize(
    ("models", "arguments", "error"),
    [
        ([A], {}, "two or more"),
        ([A, 3], {}, "keras.Model was expected"),
        ([A, A], {}, "in the list twice"),
        ([A, named(net(), "a")], {}, "names must differ"),
        ([A, named(net(classes=4), "b")], {}, "one shape"),
        ([A, named(net(features=5), "b")], {}, "want it otherwise"),
        ([A, keras.Sequential([layers.Dense(3)], name="b")], {}, "not built"),
        ([A, named(net(activation="tanh"), "b")], {}, r"JointEnsemble\(from_logits=True\)"),
        ([A, B], {"average": "mean"}, "Received: average='mean'"),
        ([A, B], {"learn_weights": 1}, "Received: learn_weights=1"),
        ([A, B], {"activation": "relu"}, "Received: activation='relu'"),
        ([A, B], {"from_logits": [True]}, r"Received: from_logits=\[True\]"),
        (YES_NO, {}, "over one class.*activation='sigmoid'.*member 'a'"),
        ([A, named(net(activation="sigmoid"), "b")], {"average": "vote"}, "'b'.*'softmax'"),
        ([A, named(net(activation="softmax"), "b")], {"activation": "sigmoid"}, "='softmax'.*'b'"),
    ],
)
def test_what_is_no_team_is_refused(models, arguments, error):
    with pytest.raises((TypeError, ValueError), match=error):
        JointEnsemble(models, **arguments)

"""Sequences whose teachers are asked once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models_for_tests import assert_same_weights
from sequences import FIT, X, Y, adam, compiled, killed, named
from variants import first_of

from keras_kd import TeacherCache
from keras_kd.losses import FitNetLoss, GradientLoss
from keras_kd.schemes import Stage, assistant_chain, born_again, route, stages
from keras_kd.teachers import MovingAverage

pytestmark = pytest.mark.core

SETTINGS = {"alpha": 0.3, "temperature": 2.0}
HINT = FitNetLoss(weight=0.1, layers={"hidden": "hidden"})
GIVEN = {"compile": compiled, "epochs": 2, **FIT}


def chain(x=X, y=Y, **given):
    models = [named("large", 9, seed=1), named("middle", 7, seed=2), named("small", 5, seed=3)]
    return assistant_chain(models, x, y, **{**GIVEN, "distiller": SETTINGS, **given})


def generations(x=X, y=Y, **given):
    seeds = iter(range(3))
    given = {**GIVEN, "generations": 2, **given}
    return born_again(lambda: named("net", seed=next(seeds)), x, y, **given)


def checkpoints(x=X, y=Y, **given):
    way = [named("early", 9, seed=1), named("late", 9, seed=2)]
    return route(way, named("student"), x, y, **{**GIVEN, **given})


def hint_and_labels(x=X, y=Y, **given):
    parts = [
        Stage("hint", 1, alpha=0.0, kd_loss=None, feature_losses=[HINT], trainable="hidden"),
        Stage("distil", 1, x=X[:6], y=Y[:6]),
        Stage("labels", 1, alpha=1.0, kd_loss=None),
    ]
    given = {**GIVEN, **given}
    del given["epochs"]
    return stages(named("student"), named("teacher", 9, seed=1), parts, x, y, **given)


def pair(x=X, y=Y, **given):
    models = [named("large", 9, seed=1), named("small", 5, seed=3)]
    return assistant_chain(models, x, y, **{**GIVEN, "distiller": SETTINGS, "epochs": 1, **given})


def folders(path):
    return sorted(folder.name.rsplit("-", 1)[0] for folder in path.iterdir())


# A plain chain and generations go through their caches below.
@first_of(
    ("scheme", "given", "asked"),
    [
        (hint_and_labels, {}, ["distil", "teacher"]),
        (chain, {"distiller": {**SETTINGS, "feature_losses": [HINT]}}, ["model_0", "model_1"]),
        (generations, {}, ["generation_0", "generation_1"]),
        (checkpoints, {}, ["checkpoint_1", "checkpoint_2"]),
    ],
)
def test_it_is_the_same_training(scheme, given, asked, tmp_path):
    keras.utils.set_random_seed(0)  # of projectors
    live = scheme(**given)
    keras.utils.set_random_seed(0)
    cached = scheme(cache={"path": tmp_path, "dtype": "float32"}, **given)
    assert folders(tmp_path) == asked
    assert list(cached.histories) == list(live.histories)
    for name, history in live.histories.items():
        assert_same_weights(cached.models[name], live.models[name], atol=1e-6)
        for metric, values in history.items():
            np.testing.assert_allclose(cached.histories[name][metric], values, rtol=1e-5)


@pytest.mark.alike
def test_densely_it_is_the_same_training(tmp_path):
    given = {"densely": True, "epochs": 1}
    live, cached = chain(**given), chain(cache={"path": tmp_path, "dtype": "float32"}, **given)
    assert folders(tmp_path) == ["models_0_to_0", "models_0_to_1"]
    for name, history in live.histories.items():
        assert_same_weights(cached.models[name], live.models[name], atol=1e-6)
        for metric, values in history.items():
            np.testing.assert_allclose(cached.histories[name][metric], values, rtol=1e-5)


def batches_labelled(monkeypatch):
    """Counts how often a teacher is asked."""
    asked, before = [], TeacherCache.label

    def label(cache, *args, **kwargs):
        missing = not cache.complete
        found = before(cache, *args, **kwargs)
        asked.append(missing)
        return found

    monkeypatch.setattr(TeacherCache, "label", label)
    return asked


@pytest.mark.alike
def test_a_teacher_is_asked_once(tmp_path, monkeypatch):
    asked = batches_labelled(monkeypatch)
    kept = {"folder": tmp_path / "chain", "cache": tmp_path / "answers", "epochs": 1}
    with pytest.raises(KeyboardInterrupt):
        chain(callbacks=killed("small", 0), **kept)
    chain(**kept)
    assert asked == [True, True, False]


@pytest.mark.alike
def test_it_takes_what_fit_takes(tmp_path):
    weights = np.arange(12.0, dtype="float32")
    rest = {"validation_data": (X, Y)}
    rest["compile"] = lambda: {**adam(), "metrics": ["accuracy"]}
    live = pair(sample_weight=weights, **rest)
    arrays = pair(sample_weight=weights, cache=tmp_path / "arrays", **rest)
    examples = tf.data.Dataset.from_tensor_slices((X, Y, weights))
    dataset = pair(examples, None, cache=tmp_path / "dataset", **rest)
    for result in (arrays, dataset):
        for metric, values in live.histories["small"].items():
            np.testing.assert_allclose(result.histories["small"][metric], values, rtol=1e-2)


@pytest.mark.alike
def test_data_are_shuffled_and_views_drawn(tmp_path):
    def shifted(x, seed):
        return x + tf.random.stateless_normal(tf.shape(x), seed, 0.0, 0.1)

    cache = {"path": tmp_path, "augment": shifted, "views": 2, "top_k": 2}
    result = pair(cache=cache, shuffle=True, batch_size=5)
    assert np.isfinite(result.histories["small"]["kd_loss"]).all()
    with pytest.raises(ValueError, match="views"):
        pair(cache={**cache, "views": 3})


@pytest.mark.alike
def test_arrays_are_shuffled_as_fit_shuffles_them(tmp_path):
    live, cached = [], []
    for result, given in ((live, {}), (cached, {"cache": {"path": tmp_path, "dtype": "float32"}})):
        keras.utils.set_random_seed(1)
        result.append(pair(shuffle=True, batch_size=5, **given))
    assert_same_weights(live[0].student, cached[0].student, atol=1e-6)


@pytest.mark.alike
def test_trainings_that_ask_nobody_are_given_unbatched_data_too(tmp_path):
    data = examples(0)
    given = {"epochs": 1, "generations": 1}
    cache = {"path": tmp_path, "dtype": "float32"}
    born, wanted = generations(data, None, cache=cache, **given), generations(**given)
    for name, model in wanted.models.items():
        assert_same_weights(born.models[name], model, atol=1e-6)
    labels = Stage("labels", 1, x=data, alpha=1.0, kd_loss=None)
    teacher, given = named("teacher", 9, seed=1), {"compile": compiled, **FIT}
    stages(named("student"), teacher, [labels], X, Y, cache=tmp_path, **given)
    batched = Stage("labels", 1, x=data.batch(4), alpha=1.0, kd_loss=None)
    with pytest.raises(ValueError, match="must not be batched"):
        stages(named("student"), teacher, [batched], X, Y, cache=tmp_path, **given)


@pytest.mark.alike
def test_stages_of_labels_ask_nobody(tmp_path):
    parts = [Stage("labels", 1, alpha=1.0, kd_loss=None)]
    teacher, given = named("teacher", 9, seed=1), {"compile": compiled, **FIT}
    models = [named("student"), named("student")]
    stages(models[0], teacher, parts, X, Y, cache=tmp_path / "answers", **given)
    stages(models[1], teacher, parts, X, Y, **given)
    assert_same_weights(*models, atol=0)
    assert not (tmp_path / "answers").exists()


def follower():
    student = named("student")
    return stages(
        student,
        MovingAverage(student),
        [Stage("one", 1)],
        X,
        Y,
        compile=compiled,
        cache="answers",
        **FIT,
    )


def examples(_):
    return tf.data.Dataset.from_tensor_slices((X, Y))


WRONG = [
    (lambda: chain(cache={"path": "a", "topk": 3}), "'topk'.*Did you mean 'top_k'"),
    (lambda: chain(cache={"top_k": 3}), "needs the 'path'"),
    (lambda: chain(cache=3), "cache=3"),
    (lambda: chain(keras.utils.PyDataset(), None, cache="a"), "type PyDataset"),
    (lambda: chain(cache="nosuch://b/answers"), "cache=.nosuch://b"),
    (lambda: chain(cache="a", validation_split=0.5), "validation_split=0.5"),
    (lambda: chain(examples(0), Y, cache="a"), "in a tf.data.Dataset already"),
    (lambda: chain(X, None, sample_weight=Y, cache="a"), "need labels"),
    (lambda: chain(examples(0).batch(4), None, cache="a"), "must not be batched"),
    (lambda: chain(distiller={"feature_losses": [GradientLoss()]}, cache="a"), "teacher"),
    (lambda: stages(named("s"), None, [Stage("a", 1)], X, Y, compile=compiled, cache="a"), "none"),
    (follower, "moves after its student.*'moving_average'"),
]


@pytest.mark.alike
@pytest.mark.parametrize("wrong, told", WRONG)
def test_what_is_wrong_is_told_before_the_first_step(wrong, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=told):
        wrong()
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.alike
def test_with_verbose_0_nothing_is_printed(tmp_path, capsys):
    keras.config.enable_interactive_logging()
    try:
        pair(cache=tmp_path)
    finally:
        keras.config.disable_interactive_logging()
    assert capsys.readouterr().out == ""

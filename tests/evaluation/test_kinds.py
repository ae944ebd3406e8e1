"""Several models of one kind in `compare`: means, spreads, and a verdict."""

import keras
import numpy as np
import pytest
from models_for_tests import inferred, net

from keras_kd.evaluation import compare

pytestmark = [pytest.mark.core, pytest.mark.alike]

X = np.random.default_rng(0).normal(size=(90, 4)).astype("float32")
TRUTH = net(seed=99, width=7)
Y = inferred(TRUTH, X).argmax(axis=1)


def noisy(seed, noise):
    """The truth with other weights by so much."""
    model, rng = net(seed=0, width=7), np.random.default_rng(seed)
    model.set_weights([w + noise * rng.normal(size=w.shape) for w in TRUTH.get_weights()])
    return model


@pytest.fixture(scope="module")
def compared():
    kinds = {noise: [noisy(seed, noise) for seed in range(4)] for noise in (1.5, 0.02)}
    models = {"teacher": TRUTH, "alone": kinds[1.5], "distilled": kinds[0.02]}
    return kinds, compare(models, (X, Y), reference="teacher")


def correct(models):
    return np.array([np.argmax(inferred(model, X), -1) == Y for model in models])


def test_each_model_is_a_row_and_each_kind_a_summary(compared):
    kinds, found = compared
    names = [f"{kind}, {number}" for kind in ("alone", "distilled") for number in range(1, 5)]
    assert [row["model"] for row in found.rows] == ["teacher", *names]
    teacher, alone, distilled = found.summaries
    assert teacher["accuracy"] == 1.0 and "accuracy_sd" not in teacher
    for summary, noise in ((alone, 1.5), (distilled, 0.02)):
        expected = correct(kinds[noise]).mean(axis=1)
        assert np.isclose(summary["accuracy"], expected.mean(), atol=1e-6)
        assert np.isclose(summary["accuracy_sd"], expected.std(ddof=1), atol=1e-6)
        assert summary["parameters"] == TRUTH.count_params() and summary["seeds"] == 4


def test_the_difference_is_that_of_the_means_with_a_verdict(compared):
    kinds, found = compared
    (difference,) = found.differences
    assert (difference.model, difference.against) == ("distilled", "alone")
    expected = correct(kinds[0.02]).mean() - correct(kinds[1.5]).mean()
    assert np.isclose(difference.mean, expected)
    assert difference.low < expected < difference.high
    assert difference.verdict == "BETTER" and difference.seeds == 4


def test_table_and_page_show_it(compared):
    _, found = compared
    table, sentence = found.to_markdown().split("\n\n")
    assert len(table.splitlines()) == 2 + 3 and "±" in table.splitlines()[3]
    assert sentence.startswith("distilled against alone: BETTER, accuracy +")
    assert "points (95 % interval +" in sentence and "4 paired models)." in sentence
    assert f"<p>{sentence}</p>" in found._repr_html_()


def test_kinds_that_are_the_same_are_not_told_apart():
    kinds = [[noisy(seed, 0.3) for seed in seeds] for seeds in (range(3), range(3, 6))]
    found = compare(dict(zip("ab", kinds, strict=True)), (X, Y))
    assert [each.verdict for each in found.differences] == ["NOT TOLD APART"]


def test_regression_is_better_where_the_error_is_smaller():
    def line(slope):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.set_weights([np.array([[slope]]), np.zeros(1)])
        return model

    x = np.linspace(0.5, 2.5, 40, dtype="float32")[:, None]
    models = {"far": [line(3.0), line(3.1)], "near": [line(2.1), line(2.2)]}
    found = compare(models, (x, 2.0 * x))
    (difference,) = found.differences
    assert difference.figure == "mae" and difference.verdict == "BETTER"
    assert np.isclose(difference.mean, (0.15 - 1.05) * x.mean(), atol=1e-5)
    assert "near against far: BETTER, MAE -1.35 (95 % interval" in str(found)


def test_several_labels_are_judged_by_single_labels():
    labels = (inferred(TRUTH, X) > 0).astype("float32")
    models = {name: [noisy(s, n) for s in (0, 1)] for name, n in (("a", 2.0), ("b", 0.0))}
    (difference,) = compare(models, (X, labels)).differences
    outputs = [inferred(model, X) > 0 for model in models["a"]]
    wrong = np.mean([output != (labels > 0) for output in outputs])
    assert np.isclose(difference.mean, wrong)


@pytest.mark.parametrize("lengths", [(1, 1), (2, 3), (0, 2)])
def test_lists_of_other_lengths_are_refused(lengths):
    models = {name: [net()] * length for name, length in zip("ab", lengths, strict=True)}
    with pytest.raises(ValueError, match=r"at least two models of one kind.*Received: {'a': "):
        compare(models, (X, Y))


def test_a_kind_is_no_reference():
    with pytest.raises(ValueError, match=r"Received: reference='a'\. Available: \['a, 1'"):
        compare({"a": [net(), net()]}, (X, Y), reference="a")

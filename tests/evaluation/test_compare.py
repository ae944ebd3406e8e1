import keras
import numpy as np
import pytest
from models_for_tests import inferred
from scipy.special import softmax
from sklearn import metrics

from keras_kd.evaluation import Comparison, compare

pytestmark = pytest.mark.core

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4)).astype("float32")
Y = RNG.integers(0, 3, 80)


def dense(units=3, activation=None, seed=0):
    start = keras.initializers.GlorotUniform(seed)
    layer = keras.layers.Dense(units, activation, kernel_initializer=start)
    return keras.Sequential([keras.Input((4,)), layer])


def test_classifiers_are_scored_side_by_side():
    student, teacher = dense(seed=1), dense(activation="softmax", seed=2)
    found = compare({"student": student, "teacher": teacher}, (X, Y), reference="teacher")
    assert isinstance(found, Comparison)
    assert (found.task, found.reference, found.examples) == ("classification", "teacher", 80)
    first, second = found.rows
    p = softmax(inferred(student, X).astype("float64"), axis=1)
    q = inferred(teacher, X).astype("float64")
    q /= q.sum(axis=1, keepdims=True)  # float32 sums to 1 but for its rounding
    assert first["model"] == "student"
    assert first["accuracy"] == pytest.approx(metrics.accuracy_score(Y, p.argmax(axis=1)))
    auc = metrics.roc_auc_score(Y, p, multi_class="ovr")
    assert first["auc"] == pytest.approx(auc, abs=1e-5)
    assert first["nll"] == pytest.approx(metrics.log_loss(Y, p), rel=1e-5)
    assert first["kl"] == pytest.approx((q * np.log(q / p)).sum(axis=1).mean(), rel=1e-4)
    assert first["agreement"] == pytest.approx((p.argmax(axis=1) == q.argmax(axis=1)).mean())
    assert first["parameters"] == 15
    assert second["nll"] == pytest.approx(metrics.log_loss(Y, q), rel=1e-5)
    assert (second["agreement"], second["kl"]) == (1.0, 0.0)


@pytest.fixture(scope="module")
def plain():
    """The row of arrays and class numbers."""
    return compare({"m": dense()}, (X, Y)).rows[0]


@pytest.mark.alike
@pytest.mark.parametrize("form", ["column", "one-hot", "tf.data", "weighted"])
def test_labels_and_data_may_come_in_any_form(form, plain):
    if form == "tf.data":
        tf = pytest.importorskip("tensorflow")
        data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(80).batch(32)
    elif form == "weighted":  # every example twice, then one of each pair silenced
        data = (np.repeat(X, 2, axis=0), np.repeat(Y, 2), np.tile([1.0, 0.0], 80))
    else:
        data = (X, {"column": Y[:, None], "one-hot": np.eye(3)[Y]}[form])
    other = compare({"m": dense()}, data).rows[0]
    for key in ("accuracy", "precision", "recall", "f1", "auc", "nll", "ece"):
        assert other[key] == pytest.approx(plain[key], rel=1e-5)


@pytest.mark.alike
def test_multi_label_models():
    targets = (RNG.random((80, 5)) < 0.4).astype("float32")
    found = compare({"a": dense(5), "b": dense(5, "sigmoid", 1)}, (X, targets), reference="a")
    assert found.task == "multilabel"
    said = inferred(dense(5), X) > 0
    assert found.rows[0]["exact_match"] == pytest.approx((said == targets).all(axis=1).mean())
    assert "Exact match (%)" in str(found)


@pytest.mark.alike
def test_regression_models():
    targets = X @ np.array([1.0, -2.0, 0.5, 3.0], "float32")
    models = {"a": dense(1), "b": dense(1, seed=1)}
    found = compare(models, (X, targets), reference="b")
    assert found.task == "regression"
    a, b = (inferred(model, X)[:, 0] for model in models.values())
    assert found.rows[0]["r2"] == pytest.approx(metrics.r2_score(targets, a), rel=1e-4)
    assert found.rows[0]["distance"] == pytest.approx(np.abs(a - b).mean(), rel=1e-4)
    assert "RMSE" in str(found)


@pytest.mark.alike
def test_two_classes_from_one_output():
    found = compare({"sigmoid": dense(1, "sigmoid"), "logit": dense(1)}, (X, Y % 2))
    first, second = (
        {key: value for key, value in row.items() if key in ("accuracy", "f1", "nll", "ece")}
        for row in found.rows
    )
    assert first == pytest.approx(second, rel=1e-5)


@pytest.mark.alike
def test_subclassed_models_and_dict_inputs():
    class Custom(keras.Model):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def call(self, inputs):
            return self.layer(inputs["a"]) + keras.ops.sum(inputs["b"], axis=-1, keepdims=True)

    data = ({"a": X, "b": X[:, :2]}, Y)
    model = Custom(keras.layers.Dense(3))
    model({"a": X[:1], "b": X[:1, :2]})
    row = compare({"custom": model}, data).rows[0]
    right = inferred(model, data[0]).argmax(axis=1) == Y
    assert row["accuracy"] == pytest.approx(right.mean())
    assert row["size_bytes"] > 0


def test_model_that_runs_eagerly_and_branches_on_its_inputs():
    class Branching(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, inputs):
            return self.dense(inputs) if float(keras.ops.sum(inputs)) > 0 else self.dense(-inputs)

    model = Branching()
    model(keras.ops.convert_to_tensor(X))
    model.compile(run_eagerly=True)
    row = compare({"m": model}, (X, Y)).rows[0]
    assert row["flops"] is None
    assert row["latency_ms_batch1"] > 0


@pytest.mark.alike
def test_reference_may_be_a_model_that_is_not_listed():
    teacher = dense(seed=3)
    found = compare({"student": dense()}, (X, Y), reference=teacher)
    listed = compare({"student": dense(), "t": teacher}, (X, Y), reference=teacher)
    assert len(found.rows) == 1
    assert found.rows[0]["kl"] == pytest.approx(listed.rows[0]["kl"], rel=1e-6)
    assert listed.reference == "t"


@pytest.mark.alike
def test_one_model_under_two_names_is_no_mistake():
    model = dense()
    first, second = compare({"a": model, "b": model}, (X, Y), reference="a").rows
    assert first["nll"] == second["nll"]
    assert second["agreement"] == 1.0


@pytest.mark.alike
@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({}, "at least one model"),
        ([dense()], "dict of at least one model by name"),
        ({1: dense()}, "name=1"),
        (
            {"m": keras.Sequential([keras.layers.Dense(3)], name="late")},
            r"no weights yet.*models\['m'\]='late'",
        ),
    ],
)
def test_models_that_cannot_be_compared_are_refused(models, message):
    with pytest.raises(ValueError, match=message):
        compare(models, (X, Y))


@pytest.mark.alike
def test_unknown_reference_is_refused_with_the_nearest_name():
    models = {"student": dense(), "teacher": dense()}
    with pytest.raises(ValueError, match=r"Did you mean 'teacher'\?.*'techer'.*'student', 'teach"):
        compare(models, (X, Y), reference="techer")


@pytest.mark.alike
def test_reference_that_is_not_built_is_refused():
    with pytest.raises(ValueError, match=r"no weights yet.*reference="):
        compare({"m": dense()}, (X, Y), reference=keras.Sequential([keras.layers.Dense(3)]))


@pytest.mark.alike
def test_models_with_different_numbers_of_outputs_are_refused():
    with pytest.raises(ValueError, match=r"same number of outputs.*'three'.*'four'"):
        compare({"three": dense(3), "four": dense(4)}, (X, Y))

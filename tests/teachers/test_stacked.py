"""A final model on other models' predictions, and data that it may not be fitted on."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    EAGER,
    assert_same_weights,
    cross_entropy,
    distiller,
    inferred,
    kd,
    linear,
    net,
    numbers,
    sgd,
    softmax,
)

from keras_kd import TeacherCache
from keras_kd.features.model_spec import input_spec, inspect_model
from keras_kd.teachers import Stacked

pytestmark = pytest.mark.core
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype("float32")
Y = np.arange(30) % 3
OLD, NEW = slice(0, 15), slice(15, 30)


class Nearest:
    """A final model that is nobody's library: the class whose mean prediction is the nearest."""

    def __init__(self):
        self.fitted_on = None

    def fit(self, z, y, sample_weight=None):
        self.fitted_on, self.weights = (z, y), sample_weight
        self.means = np.stack([z[y == label].mean(0) for label in np.unique(y)])
        return self

    def predict_proba(self, z):
        return softmax(-((z[:, None] - self.means) ** 2).sum(-1))


def members():
    return [net(seed=1), net(seed=2, activation="softmax")]


def side_by_side(models, x):
    plain, soft = models
    return np.concatenate([softmax(inferred(plain, x)), inferred(soft, x)], axis=-1)


def last(activation=None):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3, activation, name="last")])
    model.compile(sgd(), cross_entropy(), **EAGER)
    return model


@pytest.fixture(autouse=True)
def quiet():
    """No progress bars of final models."""
    keras.config.disable_interactive_logging()
    yield
    keras.config.enable_interactive_logging()


@pytest.mark.alike
def test_the_final_model_is_fitted_on_the_members_probabilities():
    models, final = members(), Nearest()
    stacked = Stacked(models, final)
    assert stacked.fit_final(X[NEW], Y[NEW], trained_on=X[OLD]) is final
    z, y = final.fitted_on
    np.testing.assert_allclose(z, side_by_side(models, X[NEW]), atol=1e-6)
    np.testing.assert_array_equal(y, Y[NEW])
    assert final.weights is None
    expected = final.predict_proba(side_by_side(models, X[OLD]))
    np.testing.assert_allclose(stacked(X[OLD]), expected, atol=1e-5)


@pytest.mark.alike
def test_data_sets_are_read_with_their_weights():
    class Batches(keras.utils.PyDataset):
        num_batches = 3

        def __getitem__(self, index):
            part = slice(5 * index, 5 * index + 5)
            return X[NEW][part], Y[NEW][part], np.full(5, index + 1.0)

    final = Nearest()
    Stacked(members(), final).fit_final(Batches(), trained_on=(X[OLD], Y[OLD]))
    np.testing.assert_array_equal(final.fitted_on[1], Y[NEW])
    np.testing.assert_array_equal(final.weights, np.repeat([1.0, 2.0, 3.0], 5))


@pytest.mark.alike
@pytest.mark.parametrize(
    "trained_on",
    [
        X,
        X[10:20],
        (X, Y),
        X.astype("float64"),
        {"x": X},
        {"inputs": X, "teacher_outputs": {"logits": X}},
        {"inputs": X, "index": np.arange(30)},
    ],
    ids=["all", "some", "labels", "another dtype", "by name", "labelled", "numbered"],
)
def test_what_the_members_were_trained_on_is_refused(trained_on):
    final = Nearest()
    with pytest.raises(ValueError, match=r"trained on.*Received: (5|15) of 15 examples"):
        Stacked(members(), final).fit_final(X[NEW], Y[NEW], trained_on=trained_on)
    assert final.fitted_on is None


def of_names(*names):
    """Members of inputs by these names, each of its own and of all of them."""
    inputs = {name: keras.Input((4,), name=name) for name in names}
    both = layers.Concatenate()(list(inputs.values())) if names[1:] else inputs[names[0]]
    every = keras.Model(inputs, layers.Dense(3)(both))
    first = keras.Model({names[0]: inputs[names[0]]}, layers.Dense(3)(inputs[names[0]]))
    return [every, first]


@pytest.mark.alike
@pytest.mark.parametrize(
    ("names", "x", "trained_on"),
    [
        ("a", {"a": X}, {"a": X, "id": np.arange(30)}),
        ("a", {"a": X, "id": np.arange(30)}, {"a": X, "id": np.arange(30)[::-1]}),
        ("a", X, {"a": X, "id": np.arange(30)}),
        ("ab", {"a": X, "b": -X}, {"a": X}),
        ("ab", {"a": X, "b": -X}, {"a": X, "b": -X, "c": Y}),
    ],
)
def test_inputs_that_both_have_say_which_examples_are_known(names, x, trained_on):
    stacked = Stacked(of_names(*names), Nearest())
    with pytest.raises(ValueError, match="Received: 30 of 30 examples"):
        stacked.fit_final(x, Y, trained_on=trained_on)


@pytest.mark.alike
@pytest.mark.parametrize(
    "trained_on", [{"x": X, "id": Y}, [X, X], np.array(["a", "b"])], ids=["names", "list", "texts"]
)
def test_inputs_that_cannot_be_compared_are_told(trained_on):
    with pytest.raises(ValueError, match=r"in the form of `x`.*x of one array: numbers \(30, 4\)"):
        Stacked(members(), Nearest()).fit_final(X, Y, trained_on=trained_on)


def of_texts(seed):
    keras.utils.set_random_seed(seed)
    words = layers.StringLookup(vocabulary=["one", "two", "drei", "für"], output_mode="one_hot")
    return keras.Sequential([keras.Input((1,), dtype="string"), words, layers.Dense(3)])


@pytest.mark.alike
def test_texts_are_known_as_strings_and_as_bytes():
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends have no tensors of strings")
    texts = ["one", "two", "für"]
    x, y = np.array(texts, "object"), np.arange(3)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(2)
    stacked = Stacked([of_texts(0), of_texts(1)], Nearest())
    stacked.fit_final(data, trained_on=None)
    stacked.fit_final(data, trained_on=np.array(["drei"]))
    assert stacked(x).shape == (3, 3)
    for same in (data, x, np.array(texts), [text.encode() for text in texts]):
        with pytest.raises(ValueError, match="Received: 3 of 3 examples"):
            stacked.fit_final(data, trained_on=same)


@pytest.mark.alike
def test_it_must_be_said_what_the_members_were_trained_on():
    stacked = Stacked(members(), Nearest())
    with pytest.raises(TypeError, match="trained_on"):
        stacked.fit_final(X, Y)
    stacked.fit_final(X, Y, trained_on=None)


def test_a_final_keras_model_teaches_live_and_through_a_cache(tmp_path):
    models, final = members(), last()
    stacked = Stacked(models, final)
    history = stacked.fit_final(X[NEW], Y[NEW], trained_on=X[OLD], epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    z = side_by_side(models, X)
    kernel, bias = numbers(final)
    np.testing.assert_allclose(stacked(X), z @ kernel + bias, atol=1e-5)
    teacher, student = stacked.model, net(3, seed=3)
    assert inspect_model(teacher, input_spec(teacher), {}).is_logits == [True]
    before = numbers(teacher)
    expected = kd(z @ kernel + bias, inferred(student, X), 2.0).mean()
    settings = {"alpha": 0.0, "temperature": 2.0, "compiled": {"optimizer": sgd(0.0)}}
    data = TeacherCache(tmp_path, stacked, dtype="float32").label(X).batch(30)
    for model, x in (
        (distiller(student, teacher, **settings), X),
        (distiller(student, **settings), data),
    ):
        found = model.fit(x, batch_size=None if x is data else 30, verbose=0).history["kd_loss"][0]
        assert found == pytest.approx(expected, rel=1e-4)
    for weight, was in zip(numbers(teacher), before, strict=True):
        np.testing.assert_array_equal(weight, was)


@pytest.mark.alike
def test_the_whole_is_saved_as_one_model(tmp_path):
    stacked = Stacked(members(), last("softmax"), fitted=True)
    stacked.model.save(tmp_path / "stacked.keras")
    loaded = keras.saving.load_model(tmp_path / "stacked.keras")
    assert_same_weights(loaded, stacked.model)
    np.testing.assert_allclose(inferred(loaded, X), stacked(X), atol=1e-6)


@pytest.mark.alike
def test_scikit_learns_classifiers_teach_through_a_cache_that_knows_them_again(tmp_path):
    linear_model = pytest.importorskip("sklearn.linear_model")
    models = members()
    stacked = Stacked(models, linear_model.LogisticRegression())
    stacked.fit_final(X[NEW], Y[NEW], trained_on=X[OLD])
    data = TeacherCache(tmp_path, stacked, dtype="float32").label(X)
    answers = next(iter(data.batch(30)))["teacher_outputs"]
    assert set(answers) == {"probabilities"}
    student = distiller(net(3, seed=3), alpha=0.0)
    assert np.isfinite(student.fit(data.batch(30), verbose=0).history["kd_loss"][0])

    again = Stacked(models, stacked.final, fitted=True)
    TeacherCache(tmp_path, again, dtype="float32").label(X)
    other = Stacked(models, linear_model.LogisticRegression(C=0.01))
    other.fit_final(X[NEW], Y[NEW], trained_on=X[OLD])
    with pytest.raises(ValueError, match="another teacher"):
        TeacherCache(tmp_path, other, dtype="float32").label(X)
    with pytest.raises(TypeError, match="TeacherCache"):
        _ = stacked.model


@pytest.mark.alike
def test_members_that_changed_are_another_teacher():
    models = members()
    stacked = Stacked(models, last(), fitted=True)
    before = stacked.fingerprint()
    assert Stacked(models, stacked.final, fitted=True).fingerprint() == before
    models[0].set_weights([weight + 0.1 for weight in models[0].get_weights()])
    assert stacked.fingerprint() != before


@pytest.mark.alike
def test_cross_fitting_predicts_each_example_by_members_that_have_not_seen_it():
    seen = []

    def train(x, y):
        """Members whose answers tell which training they are of."""
        seen.append((x, y))
        bias = np.array([len(seen), 0.0, 0.0])
        return [linear(np.zeros((4, 3)), bias), linear(np.zeros((4, 3)), -bias)]

    final = Nearest()
    stacked = Stacked.cross_fitted(train, final, X, Y, folds=3, seed=4)
    assert [len(x) for x, _ in seen] == [20, 20, 20, 30]
    z, labels = final.fitted_on
    np.testing.assert_array_equal(labels, Y)
    # Which training a prediction is of tells which examples its members had.
    number = np.rint(np.log(z[:, 0] / z[:, 1])).astype(int)
    assert sorted(set(number)) == [1, 2, 3]
    for training in (1, 2, 3):
        x, y = seen[training - 1]
        out = X[number == training]
        assert not {row.tobytes() for row in x} & {row.tobytes() for row in out}
        assert sorted(np.bincount(y).tolist()) in ([6, 7, 7], [6, 6, 8])
    np.testing.assert_array_equal(seen[3][0], X)
    assert stacked.models[0].get_weights()[1][0] == 4.0  # of the last training, on all examples
    assert stacked(X).shape == (30, 3)


@pytest.mark.alike
def test_cross_fitting_with_a_final_keras_model():
    def train(x, y):
        return [net(seed=len(x)), net(seed=len(x) + 1)]

    stacked = Stacked.cross_fitted(train, last(), X, Y, folds=2, epochs=1, verbose=0)
    assert np.isfinite(stacked(X)).all() and stacked.model.output_shape == (None, 3)


@pytest.mark.alike
def test_trained_members_that_come_again_would_know_what_they_predict():
    models = members()
    with pytest.raises(ValueError, match="new members each time"):
        Stacked.cross_fitted(lambda x, y: models, Nearest(), X, Y, folds=2)
    shared = net()

    def wrapped(x, y):  # other models of the same weights
        return [keras.Sequential([keras.Input((4,)), shared]), net(seed=len(x))]

    with pytest.raises(ValueError, match=r"must be frozen.*hidden/kernel'.* again"):
        Stacked.cross_fitted(wrapped, Nearest(), X, Y, folds=2)


@pytest.mark.alike
def test_members_of_all_folds_may_share_a_frozen_backbone_and_those_of_one_what_they_like():
    backbone = keras.Sequential([keras.Input((4,)), layers.Dense(5)])
    backbone.trainable = False

    def train(x, y):
        trunk = layers.Dense(5)
        heads = [layers.Dense(3), layers.Dense(3)]
        return [keras.Sequential([keras.Input((4,)), backbone, trunk, head]) for head in heads]

    assert Stacked.cross_fitted(train, Nearest(), X, Y, folds=2)(X).shape == (30, 3)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"train": net()}, "`train` must be a function"),
        ({"train": lambda x, y: net()}, r"must return a list.*train\(x, y\)="),
        ({"train": lambda x, y: [3]}, r"Received: train\(x, y\)\[0\]=3"),
        ({"folds": 1}, "`folds` must be a whole number of at least 2"),
        ({"folds": 31}, "30 examples"),
        ({"x": X[:5]}, "one example for each of the 30 labels"),
        ({"y": np.eye(3)[Y]}, "class numbers"),
        ({"y": np.array(["cat", "dog", "cow"])[Y]}, r"class numbers.*dtype <U3"),
        ({"y": Y % 2}, r"labels of the classes \[0, 1\]"),
        ({"final": last}, "`final` must be"),
        ({"final": keras.Sequential([keras.Input((6,)), layers.Dense(3)])}, "not compiled"),
    ],
)
def test_what_cannot_be_cross_fitted_is_refused(arguments, error):
    given = {"train": lambda x, y: members(), "final": Nearest(), "x": X, "y": Y, **arguments}
    with pytest.raises((TypeError, ValueError), match=error):
        Stacked.cross_fitted(**given)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("models", "final", "error"),
    [
        ([], Nearest(), "at least one keras.Model"),
        ([3], Nearest(), r"Received: models\[0\]=3"),
        ([net(), net(classes=4)], Nearest(), r"same C classes.*\(None, 4\)"),
        ([net(classes=1)], Nearest(), "two at least"),
        ([net(activation="sigmoid")], Nearest(), "outputs of ..sigmoid"),
        ([net(activation="tanh")], Nearest(), r"Stacked\(from_logits=True\)"),
        ([net(), net(features=5)], Nearest(), "want it otherwise"),
        ([net()], Nearest, "`final` must be a keras.Model, or an object"),
        ([net()], lambda z: z, "`final` must be"),
        ([net()], last(), r"of shape \(None, 3\).*from \(None, 6\)"),
        ([net()], net(features=3, classes=4), r"give \(None, 3\).*to \(None, 4\)"),
    ],
)
def test_what_is_no_stack_is_refused(models, final, error):
    with pytest.raises((TypeError, ValueError), match=error):
        Stacked(models, final)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("x", "y", "error"),
    [
        (X, None, "fitted on labels"),
        (X, Y % 2, r"class numbers from 0 to 2.*\[0, 1\]"),
        (X, np.eye(3)[Y], "class numbers"),
        (X, np.array(["cat", "dog", "cow"])[Y], "class numbers"),
        (X, {"y": Y}, "one array"),
    ],
)
def test_labels_that_cannot_be_learnt_are_refused(x, y, error):
    stacked = Stacked(members(), Nearest())
    with pytest.raises(ValueError, match=error):
        stacked.fit_final(x, y, trained_on=None)
    with pytest.raises(ValueError, match="not been fitted"):
        stacked(X)


@pytest.mark.alike
def test_a_final_keras_model_must_be_compiled_to_be_fitted():
    final = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="not compiled"):
        Stacked(members(), final).fit_final(X, Y, trained_on=None)

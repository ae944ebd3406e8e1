import keras
import numpy as np
import pytest

from keras_kd.evaluation.predictions import predict_all

pytestmark = pytest.mark.core

X = np.random.default_rng(0).normal(size=(70, 4)).astype("float32")
Y = np.arange(70) % 3


def dense(units=3, seed=0):
    layer = keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed))
    return keras.Sequential([keras.Input((4,)), layer])


class ShuffledAnew(keras.utils.PyDataset):
    """Gives other examples each time it is asked for the same batch."""

    def __init__(self):
        super().__init__()
        self.order = np.random.default_rng(1)
        self.asked = []

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.asked.append(index)
        chosen = self.order.integers(0, len(X), 16)
        return X[chosen], Y[chosen]


def test_outputs_are_those_of_predict_in_the_order_of_the_data():
    models = {"a": dense(seed=1), "b": dense(seed=2)}
    predictions = predict_all(models, (X, Y))
    np.testing.assert_array_equal(predictions.targets, Y)
    for name, model in models.items():
        expected = model.predict(X, verbose=0)
        np.testing.assert_allclose(predictions.outputs[name], expected, atol=1e-6)


def test_all_models_see_the_same_examples_of_a_data_set_that_shuffles_itself_anew():
    model, data = dense(), ShuffledAnew()
    outputs = predict_all({"once": model, "twice": model}, data).outputs
    np.testing.assert_array_equal(outputs["once"], outputs["twice"])
    assert data.asked == [0, 1, 2]


def test_predicting_leaves_the_models_alone():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3),
        ]
    )
    before = [np.copy(value) for value in model.get_weights()]
    predict_all({"m": model}, (X, Y))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("form", [np.ones(70), np.ones((70, 1))])
def test_sample_weights_become_one_number_an_example(form):
    assert predict_all({"m": dense()}, (X, Y, form)).weights.shape == (70,)
    assert predict_all({"m": dense()}, (X, Y)).weights is None


def test_model_with_one_output_in_a_dict_is_taken():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, {"logits": keras.layers.Dense(3)(inputs)})
    assert predict_all({"m": model}, (X, {"logits": Y})).outputs["m"].shape == (70, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X, "no labels"),
        ((X, None), "no labels"),
        ((X, {"one": Y, "two": Y}), r"2 targets, \['one', 'two'\]"),
        ((X, Y, np.ones((70, 3))), r"sample_weight of shape \(32, 3\)"),
        ((X, Y, np.zeros(70)), r"sum=0\.0"),
        ((X, Y + 1), "Labels from 0 to 2 were expected"),
        ((X[:0], Y[:0]), "yields no batch"),
    ],
)
def test_data_that_cannot_be_scored_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        predict_all({"m": dense()}, data)


def test_labels_out_of_range_stop_the_walk_at_the_first_batch():
    class Wrong(ShuffledAnew):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return x, y + 3

    data = Wrong()
    with pytest.raises(ValueError, match="Labels from 0 to 2"):
        predict_all({"m": dense()}, data)
    assert data.asked == [0]


@pytest.mark.parametrize("names", [("head", "embedding"), None])
def test_model_with_several_outputs_is_refused_and_they_are_named(names):
    inputs = keras.Input((4,))
    first = keras.layers.Dense(3, name="first")(inputs)
    second = keras.layers.Dense(2, name="second")(inputs)
    outputs = dict(zip(names, (first, second), strict=True)) if names else [first, second]
    model = keras.Model(inputs, outputs)
    # JAX sorts the names of a dict.
    listed = r"\['(head|embedding)', '(head|embedding)'\]" if names else "first.*second"
    with pytest.raises(ValueError, match=f"'two heads' with 2 outputs.*{listed}"):
        predict_all({"two heads": model}, (X, Y))


def test_model_that_gives_nan_is_refused_by_name():
    model = dense()
    model.layers[-1].bias.assign([0.0, np.nan, 0.0])
    with pytest.raises(ValueError, match="'diverged' with 32 such examples"):
        predict_all({"diverged": model}, (X, Y))

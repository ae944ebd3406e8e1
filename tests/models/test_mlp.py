import keras
import numpy as np
import pytest
from models_for_tests import inferred

from keras_kd.models import mlp


def images(shape=(28, 28, 1), count=3):
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype("float32")


@pytest.mark.parametrize(
    ("shape", "classes", "hidden", "parameters"),
    [
        ((28, 28, 1), 10, (1200, 1200), 784 * 1200 + 1200 + 1200 * 1201 + 10 * 1201),
        ((28, 28, 1), 10, (800, 800), 784 * 800 + 800 + 800 * 801 + 10 * 801),
        ((8,), 3, (), 3 * 9),
    ],
)
def test_shapes_and_parameter_counts(shape, classes, hidden, parameters):
    model = mlp(shape, classes, hidden)
    assert model(images(shape)).shape == (3, classes)
    assert model.count_params() == parameters


def test_layers_have_the_names_the_docstring_gives():
    model = mlp((8, 8, 1), 10, (20, 30), dropout=0.5, input_dropout=0.2)
    assert [layer.name for layer in model.layers[1:]] == [
        "rescaling",
        "flatten",
        "input_dropout",
        "hidden1",
        "dropout1",
        "hidden2",
        "dropout2",
        "logits",
    ]
    assert [layer.name for layer in mlp((8,), 2, (4,)).layers[1:]] == [
        "rescaling",
        "flatten",
        "hidden1",
        "logits",
    ]


def test_outputs_are_logits_in_float32_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = mlp((8, 8, 1), 10)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("logits").activation is keras.activations.linear
    assert model.get_layer("hidden1").compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(model(images((8, 8, 1))).dtype) == "float32"


def test_the_kernel_constraint_holds_after_a_step():
    model = mlp((4,), 2, (8,), kernel_constraint=keras.constraints.MaxNorm(0.1))
    model.compile("sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images((4,)), np.array([0, 1, 0]), verbose=0)
    kernel = np.asarray(model.get_layer("hidden1").kernel)
    assert np.all(np.linalg.norm(kernel, axis=0) <= 0.1 + 1e-6)


def test_a_saved_model_answers_the_same(tmp_path):
    model = mlp((8, 8, 1), 10, (20,), dropout=0.5, input_dropout=0.2)
    model.save(tmp_path / "mlp.keras")
    again = keras.models.load_model(tmp_path / "mlp.keras")
    x = images((8, 8, 1))
    np.testing.assert_array_equal(inferred(again, x), inferred(model, x))

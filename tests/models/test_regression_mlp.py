import numpy as np
from models_for_tests import inferred

from keras_kd.models import regression_mlp


def test_shapes_and_parameter_counts():
    model = regression_mlp(5, 2, (4, 3), dropout=0.1)
    assert model.output_shape == (None, 2)
    assert model.count_params() == 5 * 4 + 4 + 4 * 3 + 3 + 3 * 2 + 2
    assert [layer.name for layer in model.layers[1:]] == [
        "hidden1",
        "dropout1",
        "hidden2",
        "dropout2",
        "values",
    ]


def test_without_hidden_layers_it_is_a_straight_line():
    model = regression_mlp(3, hidden=())
    kernel, bias = model.get_weights()
    x = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")
    np.testing.assert_allclose(inferred(model, x), x @ kernel + bias, rtol=1e-5, atol=1e-6)

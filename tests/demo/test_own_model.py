"""Models in a user's files."""

import keras
import numpy as np
import pytest
from lamps import SIZE, net

from keras_kd.demo.new_weights import is_trained, with_new_weights
from keras_kd.demo.own_model import load_own_model


class Named(keras.layers.Layer):
    """A layer that nobody has registered."""

    def call(self, x):
        return x


def saved(folder, model):
    model.save(folder / "own.keras")
    return str(folder / "own.keras")


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_what_a_model_ends_in_is_found_out(tmp_path, activation):
    path = saved(tmp_path, net(keras.layers.Dense(4, activation)))
    own = load_own_model("teacher", path)
    assert (own.image_shape, own.num_classes) == ((*SIZE, 3), 4)
    assert own.from_logits == (activation is None)


@keras.saving.register_keras_serializable("tests_of_the_demo")
class Power(keras.layers.Layer):
    """Probabilities by a way of its own."""

    def call(self, x):
        return keras.ops.exp(x) / keras.ops.sum(keras.ops.exp(x), axis=-1, keepdims=True)


def test_probabilities_by_a_layer_of_one_s_own_are_known_by_their_sum(tmp_path):
    model = net(keras.layers.Dense(2), Power(), high=1e5)
    assert not load_own_model("student", saved(tmp_path, model)).from_logits


def flat(*outputs):
    return keras.Sequential([keras.Input((8,)), *outputs])


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: flat(keras.layers.Dense(2)), r"of inputs \[\(None, 8\)\]"),
        (lambda: net(keras.layers.Dense(2), shape=(*SIZE, 7)), r"1, 3 or 4 channels"),
        (lambda: net(keras.layers.Dense(2), keras.layers.Dense(1)), "Two classes take two outputs"),
        (
            lambda: net(keras.layers.Dense(2), keras.layers.Reshape((2, 1))),
            r"of outputs \[\(None, 2, 1\)\]",
        ),
        (lambda: net(keras.layers.Dense(2, "sigmoid")), "exclude one another"),
    ],
)
def test_what_classifies_no_images_is_refused(tmp_path, model, said):
    with pytest.raises(ValueError, match=said):
        load_own_model("teacher", saved(tmp_path, model()))


def test_files_that_cannot_be_loaded_say_why_and_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="where there is nothing"):
        load_own_model("teacher", str(tmp_path / "none.keras"))
    with pytest.raises(ValueError, match="where there is a folder"):
        load_own_model("teacher", str(tmp_path))
    (tmp_path / "a.tflite").write_bytes(b"")
    with pytest.raises(ValueError, match=r"A \.keras file was expected"):
        load_own_model("teacher", str(tmp_path / "a.tflite"))
    (tmp_path / "broken.keras").write_bytes(b"PK")
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_own_model("teacher", str(tmp_path / "broken.keras"))
    path = saved(tmp_path, net(keras.layers.Dense(2), Named()))
    with pytest.raises(ValueError, match=r"register_keras_serializable.*--import MODULE"):
        load_own_model("student", path)
    path = saved(tmp_path, net(keras.layers.Dense(2), keras.layers.Lambda(lambda x: x)))
    with pytest.raises(ValueError, match="A lambda is code"):
        load_own_model("student", path)
    with pytest.raises(ValueError, match="Received: --import no_such_module"):
        load_own_model("student", path, ["no_such_module"])


def test_a_module_that_is_imported_brings_its_layers(tmp_path, monkeypatch):
    (tmp_path / "lamps_layers.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable('lamps')\n"
        "class Same(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import lamps_layers

    path = saved(tmp_path, net(keras.layers.Dense(2), lamps_layers.Same()))
    keras.saving.get_custom_objects().pop("lamps>Same")
    monkeypatch.delitem(__import__("sys").modules, "lamps_layers")
    assert load_own_model("student", path, ["lamps_layers"]).num_classes == 2


def student():
    """A net of all that is kept, and of what is not."""
    statistics = keras.layers.Normalization()
    statistics.adapt(np.arange(8.0).reshape(4, 2))
    frozen = keras.layers.Dense(3, name="frozen", trainable=False)
    free = keras.layers.Dense(3, name="free", bias_initializer="ones")
    layers = [keras.Input((2,)), statistics, frozen, keras.layers.BatchNormalization(), free]
    return keras.Sequential(layers, name="student")


def test_new_weights_are_drawn_anew_but_frozen_layers_and_statistics_stay():
    model = student()
    before = model.get_weights()
    keras.utils.set_random_seed(5)
    one, other = with_new_weights(model), with_new_weights(model)
    keras.utils.set_random_seed(5)
    same = with_new_weights(model)
    for name in ("frozen", model.layers[0].name):
        for old, new in zip(
            model.get_layer(name).get_weights(), one.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(old, new)
    kernels = [net.get_layer("free").get_weights()[0] for net in (one, other, same, model)]
    assert (kernels[0] != kernels[1]).all() and (kernels[0] != kernels[3]).all()
    np.testing.assert_array_equal(kernels[0], kernels[2])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    x = np.arange(8.0).reshape(4, 2)
    np.testing.assert_allclose(one.layers[0](x), model.layers[0](x))  # what was adapted


def test_trained_weights_are_told_from_new_ones():
    model = student()
    assert not is_trained(model)
    model.get_layer("free").bias.assign_add(np.ones(3))
    assert is_trained(model)


class Unnamed(keras.Model):
    """A model whose arguments its config does not tell."""

    def __init__(self, units):
        super().__init__()
        self.dense = keras.layers.Dense(units)

    def call(self, x):
        return self.dense(x)


def test_a_model_that_cannot_be_made_anew_says_what_works():
    model = Unnamed(2)
    model(np.ones((1, 3)))
    with pytest.raises(ValueError, match="--keep-weights starts every seed"):
        with_new_weights(model)

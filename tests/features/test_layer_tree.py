import keras
import numpy as np
import pytest
from keras import layers

from keras_kd.features.layer_tree import find_layer, layer_paths, nearest

pytestmark = [pytest.mark.core, pytest.mark.alike]


class Block(layers.Layer):
    """A layer that holds layers, in a list and in a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.steps = [layers.Dense(2, name=f"step{i}") for i in range(2)]
        self.named = {"side": layers.Dense(2, name="side")}

    def call(self, x):
        for step in self.steps:
            x = step(x)
        return x + self.named["side"](x)


def model(*blocks):
    return keras.Sequential(
        [
            keras.Input((2,)),
            *(
                keras.Sequential([keras.Input((2,)), Block(name="block")], name=name)
                for name in blocks
            ),
            layers.Dense(3, name="scores"),
        ],
        name="net",
    )


def test_every_layer_inside_has_a_path():
    assert list(layer_paths(model("stage1"))) == [
        "stage1",
        "scores",
        "stage1/block",
        "stage1/block/step0",
        "stage1/block/step1",
        "stage1/block/side",
    ]


def test_a_name_that_only_one_layer_has_is_enough():
    net = model("stage1")
    for name in ("step1", "block/step1", "stage1/block/step1"):
        assert find_layer(net, name, "student") is layer_paths(net)["stage1/block/step1"]
    assert find_layer(net, "scores", "student") is net.get_layer("scores")


def test_a_name_that_several_layers_have_must_be_a_path():
    net = model("stage1", "stage2")
    with pytest.raises(ValueError, match=r"Several layers of the student.*'step1'") as error:
        find_layer(net, "step1", "student")
    for path in ("stage1/block/step1", "stage2/block/step1"):
        assert path in str(error.value)
    assert find_layer(net, "stage2/block/step1", "student").name == "step1"


def test_an_outer_layer_wins_over_an_inner_one_of_the_same_name():
    inner = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="scores")], name="inner")
    net = keras.Sequential([keras.Input((2,)), inner, layers.Dense(3, name="scores")])
    assert find_layer(net, "scores", "teacher").units == 3
    assert find_layer(net, "inner/scores", "teacher").units == 2


def test_a_layer_that_stands_in_two_places_is_one_layer():
    shared = layers.Dense(2, name="shared")
    one = keras.Sequential([keras.Input((2,)), shared], name="one")
    two = keras.Sequential([keras.Input((2,)), shared], name="two")
    net = keras.Sequential([keras.Input((2,)), one, two])
    assert find_layer(net, "shared", "student") is shared


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("score", " Did you mean 'scores'?"),
        ("stage1/blok", " Did you mean 'stage1/block'?"),
        ("q", ""),
    ],
)
def test_an_unknown_name_lists_what_there_is(name, hint):
    with pytest.raises(ValueError, match="has no such layer") as error:
        find_layer(model("stage1"), name, "teacher")
    text = str(error.value)
    assert text.startswith("The teacher 'net'")
    assert f"layer={name!r}.{hint} Available: ['stage1', 'scores'" in text


def test_a_model_that_holds_itself_is_walked_once():
    class Loop(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2, name="dense")

        def call(self, x):
            return self.dense(x)

    net = Loop()
    net(keras.ops.zeros((1, 2)))
    assert list(layer_paths(net)) == ["dense"]


class Nameless(layers.Layer):
    """Layers that Keras names and numbers, over the whole program."""

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        self.scale = layers.Activation("linear")
        self.steps = [layers.Dense(2) for _ in range(count)]

    def call(self, x):
        for step in self.steps:
            x = step(x)
        return self.scale(x)


def test_the_number_of_a_nameless_layer_inside_a_layer_does_not_matter():
    for _ in range(2):  # the second model's layers have other numbers
        net = keras.Sequential([keras.Input((2,)), Nameless(1, name="block")])
        dense = net.get_layer("block").steps[0]
        for name in (dense.name, "dense", "block/dense", "block/dense_77"):
            assert find_layer(net, name, "student") is dense
        with pytest.raises(ValueError, match="no such layer"):
            find_layer(net, "block/dens", "student")
        with pytest.raises(ValueError, match="no such layer"):
            find_layer(net, "other/dense", "student")


def test_of_two_nameless_layers_the_number_matters():
    net = keras.Sequential([keras.Input((2,)), Nameless(2, name="block")])
    with pytest.raises(ValueError, match="Several layers of the teacher"):
        find_layer(net, "block/dense_7777", "teacher")


def test_a_wrong_number_among_layers_that_keep_their_names_is_an_error():
    net = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="dense_1")])
    with pytest.raises(ValueError, match="Did you mean 'dense_1'"):
        find_layer(net, "dense_2", "student")


def test_nearest_suggests_only_what_is_near():
    assert nearest("hiden", ["hidden", "scores"]) == " Did you mean 'hidden'?"
    assert nearest("xyz", ["hidden", "scores"]) == ""
    assert nearest(3, [1, 2]) == ""


def test_attributes_lead_to_layers_of_subclassed_models():
    class Blocks(keras.Model):
        def __init__(self):
            super().__init__()
            self.stem = keras.layers.Dense(4)
            self.blocks = [keras.layers.Dense(4) for _ in range(2)]
            self.heads = {"a": keras.layers.Dense(2)}

        def call(self, x):
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            return self.heads["a"](x)

    model = Blocks()
    model(np.ones((1, 3)))
    assert find_layer(model, "stem", "student") is model.stem
    assert find_layer(model, "blocks/1", "student") is model.blocks[1]
    assert find_layer(model, "heads/a", "student") is model.heads["a"]
    for wrong in ("blocks/2", "blocks", "stem/kernel", "_layers/0", "heads/b"):
        with pytest.raises(ValueError, match=r"has no such layer|called so"):
            find_layer(model, wrong, "student")

"""Exits and heads that do not fit are told before the first step."""

import keras
import pytest
from models_for_tests import heads, net, sgd

from keras_kd.features import Tap
from keras_kd.losses import KDLoss
from keras_kd.schemes import SelfDistiller

pytestmark = [pytest.mark.core, pytest.mark.alike]


def deep():
    layers = [keras.layers.Dense(width, name=f"d{width}") for width in (5, 6, 7)]
    return keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, name="scores")])


def refused(exception, match, model=None, exits=("d5",), **kwargs):
    with pytest.raises(exception, match=match) as error:
        SelfDistiller(deep() if model is None else model, exits, **kwargs)
    assert "Received: " in str(error.value)


def test_exits():
    refused(ValueError, "Did you mean 'd5'", exits=["d55"])
    refused(ValueError, "at least one layer", exits=[])
    refused(ValueError, "at least one layer", exits="d5")
    refused(TypeError, "layer names", exits=[5])
    refused(ValueError, "different layers", exits=["d5", "d5"])
    refused(ValueError, "before the deepest feature.*d6", exits=["scores"])
    refused(ValueError, "before the deepest feature", exits=[Tap("scores", side="input")])
    refused(ValueError, "before the deepest feature, 'd6'", exits=["d7"], feature="d6")
    refused(ValueError, "order in which the model runs", exits=["d6", "d5"])
    refused(ValueError, "output or input", exits=[Tap("d5", side="attention_scores")])
    refused(ValueError, "no such layer", feature="d77")
    SelfDistiller(deep(), ["d5", "d6", "d7"])


def test_models():
    refused(TypeError, "keras.Model was expected", model=keras.layers.Dense(3))
    refused(ValueError, "not built", model=keras.Sequential([keras.layers.Dense(3)]))
    refused(ValueError, "one output", model=heads(["x", "y"]), exits=["x"])
    refused(ValueError, "BinaryKDLoss", model=net(activation="sigmoid"), exits=["hidden"])
    inputs = keras.Input((2, 3))
    hidden = keras.layers.Dense(4, name="hidden")(inputs)
    tagger = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.ReLU()(hidden)))
    refused(ValueError, "default head gives one vector", model=tagger, exits=["hidden"])
    pooled = keras.layers.GlobalAveragePooling1D(name="pooled")(inputs)
    no_scores = keras.Model(inputs, keras.layers.ReLU()(pooled))
    refused(ValueError, "say feature=", model=no_scores, exits=["pooled"])


def test_heads():
    def head(width=7, scores=3, activation=None):
        def made(name, feature):
            hidden = keras.layers.Dense(width)(feature)
            return hidden, keras.layers.Dense(scores, activation)(hidden)

        return made

    refused(ValueError, "as long as the deepest feature", head=head(width=6))
    refused(ValueError, "shape of the model's output", head=head(scores=4))
    refused(ValueError, "scores of the model's kind", head=head(activation="softmax"))
    refused(ValueError, "two values", head=lambda name, feature: feature)
    refused(TypeError, "head\\(exit_name, feature\\)", head=lambda feature: feature)
    refused(TypeError, "None or a function", head="dense")
    refused(ValueError, "one model for each exit", head={"d6": net()})
    refused(TypeError, "functional keras.Model", head={"d5": net()})


def test_numbers_and_losses():
    refused(ValueError, "temperature", temperature=0.0)
    refused(ValueError, "alpha", alpha=1.5)
    refused(ValueError, "feature_weight", feature_weight=-1.0)
    refused(TypeError, "kd_loss", kd_loss="kl")
    refused(ValueError, "weight at 1", kd_loss=KDLoss(weight=2.0))
    with pytest.raises(ValueError, match=r"`alpha` weighs.*Received: loss_weights"):
        SelfDistiller(deep(), ["d5"]).compile(sgd(), "mse", loss_weights={"d5": 2.0})

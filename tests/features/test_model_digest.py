"""What a digest of a model tells apart, and what not."""

import keras
import numpy as np
import pytest
from models_for_tests import net

from keras_kd.features.model_digest import model_digest

pytestmark = [pytest.mark.core, pytest.mark.alike]


def named(prefix, activation="tanh", width=5):
    keras.utils.set_random_seed(1)
    layers = [
        keras.layers.Dense(width, activation, name=f"{prefix}_hidden"),
        keras.layers.BatchNormalization(name=f"{prefix}_norm"),
        keras.layers.Dropout(0.5, name=f"{prefix}_drop"),
    ]
    inputs = keras.Input((4,), name=f"{prefix}_inputs")
    block = keras.Sequential([keras.Input((4,)), *layers], name=f"{prefix}_block")
    outputs = keras.layers.Dense(3, name=f"{prefix}_scores")(block(inputs))
    return keras.Model(inputs, outputs, name=prefix)


def test_names_and_what_is_trainable_do_not_count():
    teacher = named("a")
    before = model_digest(teacher)
    assert model_digest(named("b")) == before
    teacher.trainable = False
    teacher.compile("adam", "mse")
    assert model_digest(teacher) == before
    teacher(np.ones((2, 4)), training=False)
    assert model_digest(teacher) == before


def test_activations_sizes_and_weights_count():
    digests = {model_digest(named("a", *more)) for more in ((), ("relu",), ("tanh", 6))}
    teacher = named("a")
    for weight in teacher.get_layer("a_block").get_layer("a_norm").weights:
        weight.assign(weight + 0.5)
        digests.add(model_digest(teacher))
    assert len(digests) == 3 + 4


class Subclassed(keras.Model):
    """Has no config that Keras could make out."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def call(self, x):
        return self.part(x)


def test_a_model_without_config_is_known_by_its_weights():
    one, same, other = (Subclassed(net(seed=seed)) for seed in (1, 1, 2))
    assert model_digest(one) == model_digest(same)
    assert model_digest(one) != model_digest(other)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strings are TensorFlow's")
def test_a_vocabulary_counts_wherever_it_is():
    def reading(words):
        lookup = keras.layers.TextVectorization(output_sequence_length=2)
        lookup.adapt([words])
        keras.utils.set_random_seed(0)
        inputs = keras.Input((1,), dtype="string")
        words = keras.Sequential([keras.Input((1,), dtype="string"), lookup])(inputs)
        return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Embedding(9, 2)(words)))

    one, same, other = (model_digest(reading(words)) for words in ("a b c", "a b c", "x y z"))
    assert one == same
    assert one != other

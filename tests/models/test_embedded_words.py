import keras
import numpy as np
import pytest

from keras_kd.models.embedded_words import embedded_words

pytestmark = [pytest.mark.core, pytest.mark.alike]


def test_vectors_of_all_inputs_stand_side_by_side():
    inputs, x = embedded_words({"words": 10, "shapes": 5}, 6, 2)
    assert [each.name for each in inputs] == ["words", "shapes"]
    assert tuple(x.shape) == (None, None, 8)
    model = keras.Model(inputs, x)
    assert model.count_params() == 10 * 6 + 5 * 2
    given = {"words": np.array([[1, 2]]), "shapes": np.array([[3, 1]])}
    found = keras.ops.convert_to_numpy(model(given))
    words = keras.ops.convert_to_numpy(model.get_layer("words_embedding").embeddings)
    shapes = keras.ops.convert_to_numpy(model.get_layer("shapes_embedding").embeddings)
    expected = np.concatenate([words[[1, 2]], shapes[[3, 1]]], axis=-1)
    np.testing.assert_array_equal(found[0], expected)


def test_without_an_input_there_is_nothing_to_embed():
    with pytest.raises(ValueError, match=r"such as \{'words': 5000\}. Received: sizes=\{\}"):
        embedded_words({}, 6, 2)

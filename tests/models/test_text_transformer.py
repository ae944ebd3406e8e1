import sys

import keras
import numpy as np
import pytest

from keras_kd.models import text_transformer

pytest.importorskip("keras_hub")
TOKENS = np.array([[3, 4, 5, 0, 0, 0], [1, 2, 3, 4, 0, 0]])


def test_shapes_and_layers():
    model = text_transformer(10, 50, 3, width=8, depth=3, heads=2)
    for layer in ("embedding", "block1", "block2", "block3"):
        assert model.get_layer(layer).output.shape[1:] == (10, 8)
    assert model.get_layer("pool").output.shape[1:] == (8,)
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize(("token", "matters"), [(0, False), (3, True)])
def test_the_vector_of_padding_does_not_matter(token, matters):
    keras.utils.set_random_seed(0)
    model = text_transformer(6, 9, 2, width=8, heads=2)
    before = keras.ops.convert_to_numpy(model(TOKENS))
    vectors = model.get_layer("embedding").token_embedding.embeddings
    changed = keras.ops.convert_to_numpy(vectors).copy()
    changed[token] += 1.0
    vectors.assign(changed)
    after = keras.ops.convert_to_numpy(model(TOKENS))
    assert (np.abs(after - before).max() > 1e-3) == matters


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"Received: width=10, heads=4"):
        text_transformer(8, 9, 2, width=10, heads=4)


def test_without_keras_hub_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r"keras_kd\[tasks\]"):
        text_transformer(8, 9, 2)

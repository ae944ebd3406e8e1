import keras
import numpy as np
import pytest

from keras_kd.models import bert_tagger

keras_hub = pytest.importorskip("keras_hub")


def backbone(**kwargs):
    return keras_hub.models.BertBackbone(
        vocabulary_size=20,
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=64,
        **kwargs,
    )


def pieces(length, words):
    """Two sentences, of three words in five pieces and of one word in two."""
    x = {name: np.zeros((2, length), "int32") for name in ("token_ids", "segment_ids")}
    x["token_ids"][0, :7] = [2, 5, 6, 7, 8, 9, 3]
    x["token_ids"][1, :4] = [2, 11, 12, 3]
    first = np.zeros((2, words), "int32")
    first[0, :3], first[1, 0] = [1, 3, 4], 1
    return {**x, "padding_mask": (x["token_ids"] > 0).astype("int32"), "first_pieces": first}


REAL = np.array([[True, True, True], [True, False, False]])


def answers(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def test_each_word_has_the_logits_of_its_first_piece():
    bert = backbone()
    model, x = bert_tagger(bert, 5), pieces(7, 3)
    inputs = {name: x[name] for name in ("token_ids", "segment_ids", "padding_mask")}
    states = keras.ops.convert_to_numpy(bert(inputs, training=False)["sequence_output"])
    kernel, bias = model.get_layer("logits").get_weights()
    expected = np.stack([states[0, [1, 3, 4]], states[1, [1, 0, 0]]]) @ kernel + bias
    np.testing.assert_allclose(answers(model, x), expected, atol=1e-5)


def test_padding_of_pieces_and_words_changes_nothing():
    model = bert_tagger(backbone(), 5)
    short, long = answers(model, pieces(7, 3)), answers(model, pieces(40, 30))
    np.testing.assert_allclose(long[:, :3][REAL], short[REAL], atol=1e-5)


@pytest.mark.slow
def test_the_pooler_is_left_out_and_all_that_is_left_learns():
    model = bert_tagger(backbone(), 5)
    names = {weight.path for weight in model.trainable_variables}
    assert names
    assert not [name for name in names if "pooled" in name]
    before = model.get_weights()
    model.compile(
        keras.optimizers.SGD(0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
    )
    model.fit(pieces(7, 3), np.array([[1, 0, 4], [2, -1, -1]]), verbose=0)
    moved = [np.abs(a - b).max() > 0 for a, b in zip(before, model.get_weights(), strict=True)]
    assert sum(moved) > len(moved) * 0.8


def test_it_takes_what_it_needs_and_gives_float32_logits(tmp_path):
    model = bert_tagger(backbone(dtype="mixed_bfloat16"), 5)
    x = {**pieces(7, 3), "another": np.zeros((2, 3)), "words": np.ones((2, 3))}
    logits = model(x, training=False)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    np.testing.assert_array_equal(answers(model, pieces(7, 3)), keras.ops.convert_to_numpy(logits))
    model.save(tmp_path / "tagger.keras")
    again = keras.saving.load_model(tmp_path / "tagger.keras")
    np.testing.assert_array_equal(answers(again, x), keras.ops.convert_to_numpy(logits))

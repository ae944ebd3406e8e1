import keras
import numpy as np
import pytest

from keras_kd.models import bert_classifier

keras_hub = pytest.importorskip("keras_hub")


def backbone(**kwargs):
    settings = {
        "vocabulary_size": 20,
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 8,
        "intermediate_dim": 16,
        "max_sequence_length": 12,
        "dropout": 0.0,
    }
    return keras_hub.models.BertBackbone(**{**settings, **kwargs})


def test_it_is_the_mean_of_what_the_backbone_gives_for_real_tokens():
    keras.utils.set_random_seed(0)
    bert = backbone()
    model = bert_classifier(bert, 6, 3)
    tokens = np.array([[2, 5, 6, 3, 0, 0], [2, 7, 3, 0, 0, 0]])
    mask = (tokens > 0).astype("int32")
    states = bert({"token_ids": tokens, "segment_ids": 0 * tokens, "padding_mask": mask})
    states = keras.ops.convert_to_numpy(states["sequence_output"])
    means = [states[n, : mask[n].sum()].mean(axis=0) for n in range(2)]
    expected = np.stack(means) @ model.get_layer("logits").get_weights()[0]
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model(tokens)), expected, rtol=1e-4, atol=1e-5
    )


def test_it_takes_ids_alone_and_gives_float32_logits():
    model = bert_classifier(backbone(dtype="mixed_bfloat16"), 6, 3)
    assert [(x.shape, x.dtype) for x in model.inputs] == [((None, 6), "int32")]
    assert (model.output.shape, model.output.dtype) == ((None, 3), "float32")


def test_a_length_beyond_the_positions_is_refused():
    with pytest.raises(ValueError, match=r"Received: length=13, max_sequence_length=12"):
        bert_classifier(backbone(), 13, 3)

"""Reading attention inside KerasHub's layers and models."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from models_for_tests import EAGER
from variants import first_of

from keras_kd import Distiller
from keras_kd.features import Tap
from keras_kd.features.attention import find_attention
from keras_kd.features.layer_tree import find_layer
from keras_kd.features.recording import Recording, watch
from keras_kd.losses import AttentionLoss, DistillationLoss, HiddenStateLoss, MiniLMLoss

keras_hub = pytest.importorskip("keras_hub")
pytestmark = pytest.mark.core
T, S, WIDTH, HEADS = 5, 5, 8, 2
SPREAD = {"mask_zero": True, "embeddings_initializer": keras.initializers.RandomNormal(0.0, 1.0)}
TOKENS = np.array([[3, 1, 2, 0, 0], [1, 2, 3, 4, 0], [4, 4, 1, 2, 3]])


@keras.saving.register_keras_serializable(package="keras_hub_tests")
class ScoresLoss(DistillationLoss):
    """Squared distance of the scores of real positions, heads averaged away."""

    side = "attention_scores"

    def call(self, teacher_value, student_value, mask=None):
        difference = ops.mean(teacher_value, axis=1) - ops.mean(student_value, axis=1)
        each = ops.mean(ops.square(difference), axis=-1)
        keep = ops.ones_like(each) if mask is None else ops.cast(mask, each.dtype)
        return ops.divide_no_nan(ops.sum(each * keep, -1), ops.sum(keep, -1))


def array(x):
    return np.asarray(ops.convert_to_numpy(x), "float64")


def record(model, inputs, path):
    tap = Tap(path, side="attention_scores")
    layer = find_attention(model, find_layer(model, path, "student"), tap, "student")
    watch(layer, tap.side)
    with Recording() as recording:
        model(inputs)
    scores, mask = array(recording.value(layer, tap)), recording.mask(layer, tap)
    mask = array(mask).astype(bool)
    rows = scores.sum(axis=-1).transpose(0, 2, 1)[mask]  # where all is masked Keras gives zeros
    np.testing.assert_allclose(rows, 1.0, atol=1e-4)
    return scores, mask


def encoder(seed=0, width=WIDTH, **kwargs):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((T,), dtype="int32")
    x = layers.Embedding(6, width, **SPREAD)(inputs)
    x = keras_hub.layers.TransformerEncoder(16, HEADS, name="encoder", **kwargs)(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def decoder():
    """A decoder over source tokens, both padded."""
    source, target = keras.Input((S,), dtype="int32"), keras.Input((T,), dtype="int32")
    embedding = layers.Embedding(6, WIDTH, **SPREAD)
    block = keras_hub.layers.TransformerDecoder(16, HEADS, name="decoder")
    return keras.Model([source, target], block(embedding(target), embedding(source)))


def bert(seed, num_layers, hidden_dim, dropout=0.0):
    keras.utils.set_random_seed(seed)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=6,
        num_layers=num_layers,
        num_heads=HEADS,
        hidden_dim=hidden_dim,
        intermediate_dim=16,
        max_sequence_length=T,
        dropout=dropout,
    )
    pooled = backbone.output["pooled_output"]
    return keras.Model(backbone.input, layers.Dense(3)(pooled))


def bert_inputs(tokens=TOKENS):
    mask = (tokens > 0).astype("int32")
    return {"token_ids": tokens, "segment_ids": 0 * tokens, "padding_mask": mask}


@pytest.mark.alike
@pytest.mark.parametrize("path", ["encoder", "encoder/self_attention_layer"])
def test_a_transformer_encoder_is_read(path):
    scores, mask = record(encoder(), TOKENS, path)
    assert scores.shape == (3, HEADS, T, T)
    np.testing.assert_array_equal(mask, TOKENS > 0)
    assert scores[0, :, :, 3:].max() < 1e-6


@pytest.mark.alike
def test_a_transformer_decoder_is_read_by_path():
    source, target = TOKENS, TOKENS[::-1]
    model = decoder()
    scores, mask = record(model, [source, target], "decoder/self_attention")
    np.testing.assert_array_equal(mask, target > 0)
    assert np.triu(scores, 1).max() < 1e-6
    scores, mask = record(model, [source, target], "decoder/cross_attention")
    # KerasHub tells its cross-attention which source tokens are padding, nothing of the targets.
    assert mask.all()
    assert scores[0, :, :, 3:].max() < 1e-6
    assert scores[0, :, :, :3].min() > 1e-5
    tap = Tap("decoder", side="attention_scores")
    with pytest.raises(ValueError, match=r"several.*'decoder/self_attention', 'decoder/cross_att"):
        find_attention(model, model.get_layer("decoder"), tap, "student")


@pytest.mark.alike
@first_of("jit_compile", [False, True], ids=["plain", "xla"])
def test_a_bert_is_distilled_by_its_attention(jit_compile):
    teacher, student = bert(0, 2, 8, dropout=0.1), bert(1, 1, 4)
    x, y = bert_inputs(np.tile(TOKENS, (4, 1))), np.arange(12) % 3
    names = {"transformer_layer_0": "transformer_layer_1"}
    loss = ScoresLoss(layers=names, name="scores")
    distiller = Distiller(student, teacher, alpha=0.0, kd_loss=None, feature_losses=[loss])
    theirs, mask = record(teacher, bert_inputs(), "transformer_layer_1")
    ours, _ = record(student, bert_inputs(), "transformer_layer_0")
    np.testing.assert_array_equal(mask, TOKENS > 0)
    expected = float(loss(theirs, ours, mask=mask))
    assert expected > 0.0
    distiller.compile(keras.optimizers.SGD(0.0), jit_compile=jit_compile)
    history = distiller.fit(x, y, batch_size=12, verbose=0).history["scores"]
    assert history == [pytest.approx(expected, rel=1e-3)]


@pytest.mark.slow
def test_a_reloaded_distiller_of_encoders_goes_on(tmp_path):
    loss = ScoresLoss(layers={"encoder": "encoder"}, name="scores")
    distiller = Distiller(encoder(), encoder(1, 12), kd_loss=None, feature_losses=[loss], alpha=0.0)
    distiller.compile(keras.optimizers.Adam(1e-2), **EAGER)
    x, y = np.tile(TOKENS, (4, 1)), np.arange(12) % 3
    history = distiller.fit(x, y, batch_size=12, epochs=8, verbose=0).history["scores"]
    assert history[-1] < 0.95 * history[0]
    distiller.save(tmp_path / "distiller.keras")
    copy = keras.saving.load_model(tmp_path / "distiller.keras")
    after = [
        model.fit(x, y, batch_size=12, shuffle=False, verbose=0).history["scores"][0]
        for model in (distiller, copy)
    ]
    assert after[1] == pytest.approx(after[0], rel=1e-4)


@pytest.mark.slow
def test_a_bert_is_distilled_by_every_loss_on_attention():
    names = {"transformer_layer_0": "transformer_layer_1"}
    losses = [
        AttentionLoss(layers=names),
        AttentionLoss("mse", layers=names, name="products"),
        HiddenStateLoss(layers=names),
        MiniLMLoss(layers=names),
    ]
    distiller = Distiller(
        bert(1, 1, 4), bert(0, 2, 8), alpha=0.0, kd_loss=None, feature_losses=losses
    )
    distiller.compile(keras.optimizers.Adam(1e-2), jit_compile=keras.backend.backend() == "jax")
    x, y = bert_inputs(np.tile(TOKENS, (4, 1))), np.arange(12) % 3
    history = distiller.fit(x, y, batch_size=12, epochs=30, verbose=0).history
    for loss in losses:
        assert np.isfinite(history[loss.name]).all()
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    distiller.validate_with_teacher = True
    # Longer padding changes nothing of how attention is compared; hidden states have no mask here.
    longer = bert_inputs(np.pad(TOKENS[:2, :4], ((0, 0), (0, 1))))
    logs = [
        distiller.evaluate(inputs, np.zeros(2), verbose=0, return_dict=True)
        for inputs in (bert_inputs(TOKENS[:2, :4]), longer)
    ]
    for loss in losses:
        if isinstance(loss, HiddenStateLoss):
            continue
        assert logs[1][loss.name] == pytest.approx(logs[0][loss.name], rel=1e-3)

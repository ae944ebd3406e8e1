"""What `bilstm_tagger` and `cnn_tagger` have in common."""

import keras
import numpy as np
import pytest

from keras_kd.models import bilstm_tagger, cnn_tagger

pytestmark = [pytest.mark.core, pytest.mark.alike]
SIZES = {"words": 12, "shapes": 5}
WORDS = np.array([[3, 4, 5, 0], [1, 2, 3, 11]])
SHAPES = np.where(WORDS == 0, 0, WORDS % 4 + 1)
taggers = pytest.mark.parametrize("tagger", [bilstm_tagger, cnn_tagger])


def padded(extra):
    space = ((0, 0), (0, extra))
    return {"words": np.pad(WORDS, space), "shapes": np.pad(SHAPES, space)}


def answers(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


@pytest.mark.parametrize(
    ("tagger", "parameters"),
    [
        (bilstm_tagger, 2 * 4 * 7 * (10 + 7 + 1) + (14 + 1) * 3),
        (cnn_tagger, (3 * 10 + 1) * 6 + (3 * 6 + 1) * 6 + (6 + 1) * 3),
    ],
)
def test_shapes_and_parameter_counts(tagger, parameters):
    size = {"units": 7} if tagger is bilstm_tagger else {"filters": 6, "depth": 2}
    model = tagger(SIZES, 3, width=8, feature_width=2, **size)
    assert answers(model, padded(0)).shape == (2, 4, 3)
    assert model.count_params() == 12 * 8 + 5 * 2 + parameters


@taggers
def test_padding_changes_nothing(tagger):
    model = tagger(SIZES, 3)
    short, long = answers(model, padded(0)), answers(model, padded(9))
    real = WORDS != 0
    np.testing.assert_allclose(long[:, :4][real], short[real], atol=1e-6)
    assert np.abs(short[0, 0] - short[0, 1]).max() > 1e-5


@taggers
def test_the_words_around_count_and_so_do_the_features(tagger):
    model = tagger(SIZES, 3)
    before, x = answers(model, padded(0)), padded(0)
    x["shapes"][1, 3] = 1
    x["words"][0, 2] = 9
    moved = np.abs(answers(model, x) - before).max(axis=-1) > 0
    assert moved[WORDS != 0].all()


@taggers
def test_logits_carry_the_mask_of_the_words(tagger):
    model = tagger(SIZES, 3)
    loss = keras.losses.MeanAbsoluteError()
    x, zeros = padded(9), np.zeros((2, 13, 3))
    found = float(loss(zeros, model(x, training=False)))
    assert found == pytest.approx(np.abs(answers(model, x)[x["words"] != 0]).mean(), rel=1e-5)


@taggers
def test_words_alone_will_do_and_other_inputs_are_left_alone(tagger):
    model = tagger({"words": 12}, 3)
    np.testing.assert_array_equal(answers(model, padded(0)), answers(model, WORDS))


@taggers
def test_a_saved_model_answers_the_same(tagger, tmp_path):
    model = tagger(SIZES, 3)
    model.save(tmp_path / "tagger.keras")
    again = keras.saving.load_model(tmp_path / "tagger.keras")
    np.testing.assert_array_equal(answers(again, padded(0)), answers(model, padded(0)))


@taggers
def test_outputs_are_logits_in_float32_under_mixed_precision(tagger):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = tagger(SIZES, 3)
    assert keras.backend.standardize_dtype(model(padded(0)).dtype) == "float32"
    assert model.get_layer("logits").activation is keras.activations.linear

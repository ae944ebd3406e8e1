import keras
import numpy as np
import pytest

from keras_kd.features.projector import make_projector

pytestmark = [pytest.mark.core, pytest.mark.alike]


def projector(student, teacher, match="shape"):
    return make_projector(student, teacher, match, "student 'a' and teacher 'b'", "projector")


def run(layer, value, **kwargs):
    return keras.ops.convert_to_numpy(layer(np.asarray(value, "float32"), **kwargs))


@pytest.mark.parametrize("match", [None, "resolution", "shape"])
@pytest.mark.parametrize("shape", [(None, 5), (None, 7, 5), (None, None, 5), (None, 4, 4, 5)])
def test_equal_shapes_need_none(shape, match):
    assert projector(shape, shape, match) is None


def test_a_loss_that_takes_any_shapes_gets_none():
    assert projector((None, 5), (None, 2, 3), None) is None


@pytest.mark.parametrize(
    ("student", "teacher", "layers"),
    [
        ((None, 5), (None, 8), ["dense"]),
        ((None, 8), (None, 1), ["dense"]),
        ((None, 6, 5), (None, 6, 8), ["dense"]),
        ((None, None, 5), (None, None, 8), ["dense"]),
        ((None, 4, 4, 5), (None, 4, 4, 8), ["conv", "batch_norm"]),
        ((None, None, None, 5), (None, None, None, 8), ["conv", "batch_norm"]),
        ((None, 8, 8, 5), (None, 4, 4, 5), ["resize"]),
        ((None, 8, 8, 5), (None, 4, 4, 8), ["resize", "conv", "batch_norm"]),
        ((None, 4, 4, 5), (None, 8, 8, 5), ["resize"]),
        ((None, 7, 7, 5), (None, 4, 4, 8), ["resize", "conv", "batch_norm"]),
        ((None, 8, 4, 5), (None, 4, 8, 5), ["resize"]),
        ((None, 4, 6, 3), (None, 4, 3, 3), ["resize"]),
    ],
)
def test_every_pair_of_shapes_comes_to_the_teachers(student, teacher, layers):
    found = projector(student, teacher)
    assert [layer.name for layer in found.layers] == layers
    value = np.ones([3, *(2 if size is None else size for size in student[1:])])
    expected = (3, *(2 if size is None else size for size in teacher[1:]))
    assert run(found, value).shape == expected


def test_matching_resolution_leaves_widths():
    found = projector((None, 8, 8, 5), (None, 4, 4, 9), "resolution")
    assert run(found, np.ones((2, 8, 8, 5))).shape == (2, 4, 4, 5)
    assert found.weights == []
    assert projector((None, 8, 8, 5), (None, 8, 8, 9), "resolution") is None


def test_shrinking_by_a_whole_number_averages_blocks():
    value = np.random.default_rng(0).normal(size=(2, 6, 4, 3))
    found = run(projector((None, 6, 4, 3), (None, 3, 2, 3)), value)
    by_hand = value.reshape(2, 3, 2, 2, 2, 3).mean((2, 4))
    np.testing.assert_allclose(found, by_hand, atol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (5, 7), (3, 4), (4, 9)])
def test_resizing_either_way_keeps_a_flat_map_flat_and_a_slope_a_slope(size):
    layer = projector((None, 4, 6, 1), (None, *size, 1))
    np.testing.assert_allclose(run(layer, np.full((1, 4, 6, 1), 2.5)), 2.5, rtol=1e-6)
    slope = np.broadcast_to(np.arange(6.0)[None, None, :, None], (1, 4, 6, 1))
    across = run(layer, slope)[0, 0, :, 0]
    assert (np.diff(across) >= -1e-6).all()
    assert across.mean() == pytest.approx(2.5, abs=1e-5)


@pytest.mark.parametrize(
    ("student", "teacher", "problem"),
    [
        ((None, 5), (None, 4, 5), "one rank"),
        ((None, 4, 4, 5), (None, 16, 5), "one rank"),
        ((None, 6, 5), (None, 7, 5), "one length"),
        ((None, None, 5), (None, 7, 5), "one length"),
        ((None, None, None, 5), (None, 4, 4, 5), "known sizes"),
    ],
)
def test_what_cannot_be_brought_together_names_layers_and_shapes(student, teacher, problem):
    with pytest.raises(ValueError, match=problem) as error:
        projector(student, teacher)
    text = str(error.value)
    assert "student 'a' and teacher 'b'" in text
    assert f"Received: student={student}, teacher={teacher}" in text


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_it_computes_in_float32_whatever_the_policy(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layers = [projector((None, 8, 8, 5), (None, 4, 4, 7)), projector((None, 5), (None, 8))]
    finally:
        keras.config.set_dtype_policy(before)
    for layer, shape in zip(layers, ((2, 8, 8, 5), (2, 5)), strict=True):
        assert run(layer, np.ones(shape)).dtype == np.float32
        assert {weight.dtype for weight in layer.weights} <= {"float32"}


def test_maps_are_channels_last_whatever_the_default():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        layer = projector((None, 8, 8, 5), (None, 4, 4, 7))
    finally:
        keras.config.set_image_data_format(before)
    assert run(layer, np.ones((2, 8, 8, 5))).shape == (2, 4, 4, 7)


def test_batch_norm_moves_in_training_only():
    layer = projector((None, 2, 2, 3), (None, 2, 2, 4))
    value = np.random.default_rng(0).normal(size=(2, 2, 2, 3)) + 3.0
    still = run(layer, value, training=False)
    np.testing.assert_array_equal(run(layer, value, training=False), still)
    run(layer, value, training=True)
    assert np.abs(run(layer, value, training=False) - still).max() > 1e-3

"""What padding does to every loss: nothing."""

import functools

import keras
import numpy as np
import pytest
from every_loss import (
    draw,
    every_loss,
    labels_for,
    run,
    sums_tokens,
)
from gradients import gradient
from keras import ops
from variants import alike_but_first

from keras_kd.losses import DistillationLoss, FitNetLoss, KDLoss, PKDLoss

pytestmark = pytest.mark.core


SENTENCES = [[3, 1, 4], [1], [5]]


@functools.cache
def _taggers():
    def normal(seed):
        return keras.initializers.RandomNormal(stddev=2.0, seed=seed)

    embed = [keras.layers.Embedding(9, 6, normal(seed), mask_zero=True) for seed in (0, 1)]
    dense = [keras.layers.Dense(5, kernel_initializer=normal(seed)) for seed in (2, 3)]
    return list(zip(embed, dense, strict=True))


@functools.cache
def tagged(length):
    """What two taggers say of sentences that end in padding, with its mask; and which are words."""
    tokens = np.array([words + [0] * (length - len(words)) for words in SENTENCES])
    return [d(e(tokens)) for e, d in _taggers()], tokens != 0


def arrays(length):
    """The same without the mask."""
    values, real = tagged(length)
    return *(ops.convert_to_numpy(value) for value in values), real


@every_loss
@alike_but_first("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_padding_a_sentence_further_changes_nothing(cls, reduction):
    loss, found = cls(reduction=reduction), []
    for length in (3, 7):
        (teacher, student), real = tagged(length)
        labels = (-4.0 * labels_for((3, 7, 5)))[:, :length]
        assert student._keras_mask is not None
        found.append(run(loss, teacher, student, labels=labels))
        by_hand = arrays(length)[:2]
        found.append(run(loss, *by_hand, labels=labels, mask=real))
    assert found[0] > 0.0
    # float32: 5 real tokens, summed in another order
    np.testing.assert_allclose(found, found[0], rtol=1e-5)


@every_loss
def test_padding_weighs_nothing_against_the_sentences_alone(cls):
    teacher, student, real = arrays(7)
    labels = -4.0 * labels_for((3, 7, 5))
    alone = [
        np.ravel(
            run(
                cls(reduction=None),
                teacher[i : i + 1, :n],
                student[i : i + 1, :n],
                labels=labels[i : i + 1, :n],
            )
        )
        for i, n in enumerate(real.sum(axis=1))
    ]
    expected = np.concatenate(alone).mean()
    masked = run(cls(), teacher, student, labels=labels, mask=real)
    assert masked == pytest.approx(expected, rel=1e-5)


@every_loss
def test_padding_gets_no_gradient(cls):
    teacher, student, real = arrays(7)
    labels = -4.0 * labels_for((3, 7, 5))
    slope = gradient(lambda z: cls()(teacher, z, labels=labels, mask=real), student, "float32")
    np.testing.assert_array_equal(slope[~real], 0.0)
    assert np.abs(slope[real]).max() > 0.0


@every_loss
def test_a_mask_and_sample_weights_work_together(cls):
    teacher, student, real = arrays(3)  # as many sentences as words
    labels, weights = (-4.0 * labels_for((3, 7, 5)))[:, :3], np.array([1.0, 0.0, 3.0])
    context = {"labels": labels, "mask": real}
    each = run(cls(reduction=None), teacher, student, **context)
    spread = weights if sums_tokens(cls) else weights[:, None]
    count = 3 if sums_tokens(cls) else real.sum()
    weighted = run(cls(), teacher, student, weights, **context)
    assert weighted == pytest.approx((each * spread).sum() / count, rel=1e-5)


@every_loss
def test_nothing_but_padding_gives_zero_and_not_nan(cls):
    teacher, student = draw((2, 3, 4))
    context = {"labels": labels_for((2, 3, 4)), "mask": np.zeros((2, 3), bool)}
    assert run(cls(), teacher, student, **context) == 0.0
    slope = gradient(lambda z: cls()(teacher, z, **context), student, "float32")
    np.testing.assert_array_equal(slope, np.zeros(student.shape))


@every_loss
def test_a_mask_of_another_length_is_refused(cls):
    teacher, student = draw((3, 4, 5))
    labels = labels_for((3, 4, 5))
    for shape in [(3, 5), (3, 3), (3, 1), (2, 4)]:
        message = rf"first axes of the values.*mask=\({shape[0]}, {shape[1]}\), values=\(3, 4"
        with pytest.raises(ValueError, match=message):
            cls()(teacher, student, labels=labels, mask=np.ones(shape, bool))


def test_a_mask_of_another_length_is_refused_beside_an_ignored_label_too():
    teacher, student = draw((3, 4, 5))
    loss = KDLoss(ignore_class=-1)
    with pytest.raises(ValueError, match=r"mask=\(3, 5\), values=\(3, 4\)"):
        loss(teacher, student, labels=np.zeros((3, 4), int), mask=np.ones((3, 5), bool))


def test_a_mask_of_tokens_for_a_loss_that_sums_over_them_is_an_error():
    class SumsTokens(DistillationLoss):
        def call(self, teacher_value, student_value):
            return ops.mean(ops.square(teacher_value - student_value), axis=(1, 2))

    teacher, student = draw((2, 3, 4))
    with pytest.raises(ValueError, match=r"let it take an argument `mask`.*Received: values of"):
        SumsTokens()(teacher, student, mask=np.ones((2, 3), bool))


REAL = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0]], "bool")


@alike_but_first("cls", [KDLoss, FitNetLoss, PKDLoss])
def test_a_mean_over_tokens_or_over_samples_is_what_it_says(cls):
    teacher, student = draw((3, 3, 5))
    # One position at a time: its own value, whatever the convention.
    each = np.array(
        [
            [
                run(cls(), teacher[i : i + 1, j : j + 1], student[i : i + 1, j : j + 1])
                for j in range(3)
            ]
            for i in range(3)
        ]
    )
    expected = {
        "tokens": each[REAL].mean(),
        "samples": (each[0].mean() + each[1, 0] + 0.0) / 3,
    }
    found = {
        over: run(cls(mean_over=over), teacher, student, mask=REAL) for over in (*expected, None)
    }
    default = "tokens" if cls is KDLoss else "samples"
    assert found == pytest.approx({**expected, None: expected[default]}, rel=1e-5)
    unmasked = [float(run(cls(mean_over=over), teacher, student)) for over in found]
    assert max(unmasked) == pytest.approx(min(unmasked), rel=1e-6)


def test_a_mean_over_anything_else_is_an_error():
    with pytest.raises(ValueError, match=r"'tokens', 'samples' or None.*mean_over='token'"):
        KDLoss(mean_over="token")
    assert KDLoss.from_config(KDLoss(mean_over="samples").get_config()).mean_over == "samples"

"""A loss of several pairs of values is the sum over the pairs."""

import numpy as np
import pytest
from every_loss import (
    draw,
    every_loss,
    labels_for,
    run,
)

from keras_kd.losses import ATLoss, FitNetLoss, KDLoss, RegressionLoss

pytestmark = [pytest.mark.core, pytest.mark.alike]


@every_loss
def test_several_pairs_are_summed(cls):
    first, second = draw((2, 3, 4), seed=0), draw((2, 3, 4), seed=1)
    labels, weights = labels_for((2, 3, 4)), np.array([1.0, 0.5])
    expected = sum(run(cls(), *pair, weights, labels=labels) for pair in (first, second))
    teachers, students = zip(first, second, strict=True)
    together = run(cls(), list(teachers), list(students), weights, labels=labels)
    assert together == pytest.approx(expected, rel=1e-6)


def test_pairs_of_different_shapes_are_summed():
    wide, narrow = draw((2, 4, 4, 3)), draw((2, 2, 2, 8))
    expected = run(FitNetLoss(), *wide) + run(FitNetLoss(), *narrow)
    together = run(FitNetLoss(), [wide[0], narrow[0]], [wide[1], narrow[1]])
    assert together == pytest.approx(expected, rel=1e-6)


def test_pairs_share_a_mask_or_have_one_each():
    pairs = [draw((2, 3, 4), seed=0), draw((2, 3, 4), seed=1)]
    teachers, students = zip(*pairs, strict=True)
    masks = [np.array([[1, 1, 0], [1, 0, 0]], bool), np.array([[1, 0, 0], [1, 1, 1]], bool)]
    loss = FitNetLoss()
    expected = sum(run(loss, *pair, mask=masks[0]) for pair in pairs)
    assert run(loss, teachers, students, mask=masks[0]) == pytest.approx(expected, rel=1e-6)
    expected = sum(run(loss, *pair, mask=mask) for pair, mask in zip(pairs, masks, strict=True))
    assert run(loss, teachers, students, mask=masks) == pytest.approx(expected, rel=1e-6)
    expected = run(loss, *pairs[0]) + run(loss, *pairs[1], mask=masks[1])
    some = run(loss, teachers, students, mask=[None, masks[1]])
    assert some == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("teachers", "students", "context"),
    [
        ([np.ones((2, 3))], [np.ones((2, 3))] * 2, {}),
        ([np.ones((2, 3))] * 3, [np.ones((2, 3))] * 2, {}),
        (np.ones((2, 2, 3)), [np.ones((2, 3))] * 2, {}),
        ([], [], {}),
        ([np.ones((2, 3))] * 2, [np.ones((2, 3))] * 2, {"mask": [None]}),
    ],
    ids=["fewer teachers", "more teachers", "one array", "no pair", "fewer masks"],
)
def test_pairs_that_do_not_pair_up_are_an_error(teachers, students, context):
    with pytest.raises(ValueError, match=r"compares pairs: .*Received: .* teacher values"):
        RegressionLoss()(teachers, students, **context)


TENSOR = np.ones((2, 3), "float32")


@pytest.mark.parametrize("cls", [KDLoss, ATLoss])
@pytest.mark.parametrize("other", [{"a": TENSOR}, [TENSOR], None])
def test_what_is_no_pair_of_tensors_is_an_error_that_says_what_came(cls, other):
    for pair in ((TENSOR, other), (other, TENSOR)):
        with pytest.raises(ValueError, match=r"Received: .*(dict of|list of|NoneType|keys=)"):
            cls()(*pair)


def test_strings_are_no_values():
    with pytest.raises(TypeError, match=r"kd_loss compares numbers\. Received: 'a'"):
        KDLoss()("a", "b")

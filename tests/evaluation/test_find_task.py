import warnings

import numpy as np
import pytest

from keras_kd.evaluation.find_task import find_task, holds_probabilities

pytestmark = [pytest.mark.core, pytest.mark.alike]

ROWS = np.array([[0.2, 0.8, 0.0], [1.0, 0.0, 0.0]])
LABELS = np.array([2, 0])


def outputs(*shape):
    return {"m": np.zeros(shape, "float32")}


@pytest.mark.parametrize(
    ("targets", "shape", "task"),
    [
        (LABELS, (2, 3), "classification"),
        (LABELS[:, None].astype("float32"), (2, 3), "classification"),
        (np.eye(3)[LABELS], (2, 3), "classification"),
        (ROWS, (2, 3), "classification"),
        (np.array([0, 1]), (2, 1), "classification"),
        (np.array([0.0, 1.0]), (2,), "classification"),
        (np.array([True, False]), (2, 1), "classification"),
        (np.array([[1, 0, 1], [0, 0, 1]]), (2, 3), "multilabel"),
        (np.array([[0.0, 0.0], [1.0, 0.0]]), (2, 2), "multilabel"),
        (np.array([1.5, -2.0]), (2, 1), "regression"),
        (np.array([[1.0], [2.0]]), (2,), "regression"),
        (np.array([[1.5, 2.0], [0.0, 0.3]]), (2, 2), "regression"),
        (np.random.default_rng(0).random((2, 4, 4, 1)), (2, 4, 4, 1), "regression"),
    ],
)
def test_task_follows_from_targets_and_outputs(targets, shape, task):
    assert find_task(targets, outputs(*shape)) == task


@pytest.mark.parametrize(
    ("targets", "shape", "message"),
    [
        (np.array([0, 3]), (2, 3), "Labels from 0 to 2 were expected.*from 0 to 3"),
        (np.array([-1, 2]), (2, 3), "from -1 to 2"),
        (np.array([0, 2]), (2, 1), r"Labels from 0 to 1 .*regression are floats"),
        (np.array([0.5, 1.0]), (2, 3), "fit no task.*with fractions"),
        (np.zeros((2, 4)), (2, 3), r"outputs of shape \('N', 3\).*targets of shape \('N', 4\)"),
        (np.array([[0, 2], [1, 0]]), (2, 2), "fit no task"),
        (np.array([0, 1]), (2, 5, 3), "fit no task"),
        (np.array([0.0, np.nan]), (2, 1), "NaN"),
        (np.array(["cat", "dog"]), (2, 3), "dtype <U3"),
    ],
)
def test_targets_that_fit_no_task_are_refused(targets, shape, message):
    with pytest.raises(ValueError, match=message):
        find_task(targets, outputs(*shape))


def test_models_with_different_numbers_of_outputs_are_refused_by_name():
    both = {"small": np.zeros((2, 3)), "large": np.zeros((2, 5))}
    with pytest.raises(ValueError, match=r"'small': \('N', 3\), 'large': \('N', 5\)"):
        find_task(LABELS, both)


@pytest.mark.parametrize(
    ("values", "exclusive", "expected"),
    [
        (ROWS, True, True),
        (ROWS + 0.0005, True, True),
        (0.995 * ROWS, True, True),
        (ROWS - 0.5, True, False),
        (3.0 * ROWS, True, False),
        (np.array([[0.9, 0.8]]), False, True),
        (np.array([[0.9, -0.1]]), False, False),
    ],
)
def test_kind_of_outputs_is_read_from_their_numbers(values, exclusive, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert holds_probabilities(values, "m", exclusive=exclusive) is expected


def test_outputs_of_a_sigmoid_where_classes_exclude_one_another_are_warned_about():
    with pytest.warns(UserWarning, match="'one_vs_rest' lie in .* do not sum to 1"):
        assert not holds_probabilities(np.array([[0.9, 0.8]]), "one_vs_rest", exclusive=True)

import numpy as np
import pytest

from keras_kd.export.comparison import OutputComparison

pytestmark = pytest.mark.core


def test_numbers_gathered_in_batches_are_those_of_the_whole():
    random = np.random.default_rng(0)
    student = 1000.0 + random.normal(size=(60, 1))
    export = student + 0.1 * random.normal(size=(60, 1))
    labels = student[:, 0] + 1.0
    comparison = OutputComparison("y")
    for start in range(0, 60, 25):
        part = slice(start, start + 25)
        comparison.update(student[part], export[part], labels[part])
    error = export - student
    assert comparison.largest == pytest.approx(np.abs(error).max())
    assert comparison.rms == pytest.approx(np.sqrt(np.mean(error**2)))
    assert comparison.agreement == pytest.approx(1 - np.mean(error**2) / np.var(student))
    assert comparison.metric_values[0] == pytest.approx(1.0)
    assert comparison.metric_values[1] == pytest.approx(np.mean(np.abs(export[:, 0] - labels)))


def test_agreement_of_classes_is_the_share_of_equal_decisions():
    comparison = OutputComparison("y")
    comparison.update(np.eye(4), np.eye(4)[[0, 1, 2, 0]], np.array([0, 1, 2, 3]))
    assert comparison.agreement == 0.75
    assert comparison.metric_values == (1.0, 0.75)


def test_scale_is_the_range_but_not_less_than_a_tenth_of_the_size():
    spread, flat = OutputComparison("spread"), OutputComparison("flat")
    spread.update(np.array([[-1.0], [3.0]]), np.zeros((2, 1)), None)
    flat.update(np.array([[50.0], [50.0]]), np.zeros((2, 1)), None)
    assert (spread.scale, flat.scale) == (4.0, 5.0)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_value_that_is_finite_only_in_the_student_is_an_infinite_difference(broken):
    comparison = OutputComparison("y")
    comparison.update(np.array([[1.0], [2.0]]), np.array([[1.0], [broken]]), None)
    assert comparison.largest == np.inf
    assert comparison.agreement == 0.0


def test_values_that_are_not_finite_in_both_are_equal():
    values = np.array([[1.0], [np.nan], [-np.inf]])
    comparison = OutputComparison("y")
    comparison.update(values, values.copy(), None)
    assert (comparison.largest, comparison.agreement) == (0.0, 1.0)


def test_strings_are_equal_or_not():
    comparison = OutputComparison("y")
    comparison.update(np.array(["a", "b"]), np.array(["a", "c"]), None)
    assert (comparison.continuous, comparison.agreement) == (False, 0.5)

import numpy as np
import pytest

from keras_kd.export.comparison import OutputComparison
from keras_kd.export.tolerance import EIGHT_BITS, FLOAT16, FLOAT32

pytestmark = pytest.mark.core


def _output(error, size=400):
    """An output of range 2 whose values are all wrong by `error`."""
    student = np.linspace(-1.0, 1.0, size).reshape(-1, 1)
    comparison = OutputComparison("y")
    comparison.update(student, student + error, None)
    return comparison


@pytest.mark.parametrize(
    ("tolerance", "allowed"), [(FLOAT32, 1e-3), (FLOAT16, 1e-2), (EIGHT_BITS, 0.05)]
)
def test_errors_are_judged_by_the_outputs_range(tolerance, allowed):
    assert tolerance.problem(_output(2 * 0.9 * allowed)) is None
    beyond = tolerance.problem(_output(1.0))
    assert f"at most {allowed} is allowed" in beyond


def test_agreement_excuses_the_error_of_eight_bits_only():
    scores, shrunk = np.eye(4), 0.5 * np.eye(4)
    comparison = OutputComparison("y")
    comparison.update(scores, shrunk, None)
    assert comparison.agreement == 1.0
    assert EIGHT_BITS.problem(comparison) is None
    assert FLOAT16.problem(comparison) is not None


def test_agreement_does_not_excuse_nan():
    scores = np.eye(4)
    broken = scores.copy()
    broken[0, 3] = -np.inf
    comparison = OutputComparison("y")
    comparison.update(scores, broken, None)
    assert comparison.agreement == 1.0
    assert EIGHT_BITS.problem(comparison) is not None


def test_integers_are_judged_by_agreement():
    labels = np.arange(100)
    comparison = OutputComparison("y")
    comparison.update(labels, np.where(labels < 5, 0, labels), None)
    assert EIGHT_BITS.problem(comparison) is None
    assert "0.9600 of its values are equal" in FLOAT16.problem(comparison)


def test_the_looser_of_two_is_taken_in_either_order():
    assert FLOAT32.or_looser(FLOAT16) is FLOAT16
    assert EIGHT_BITS.or_looser(FLOAT16) is EIGHT_BITS

import numpy as np
import pytest

from keras_kd.data import long_tail


@pytest.mark.parametrize(("ratio", "largest"), [(0.01, None), (0.1, 200), (1.0, 50)])
def test_frequencies_fall_geometrically(ratio, largest):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), 1_000))
    rows = long_tail(labels, ratio=ratio, largest=largest)
    first = largest or 1_000
    expected = [round(first * ratio ** (c / 4)) for c in range(5)]
    assert np.bincount(labels[rows]).tolist() == expected


def test_the_first_of_each_class_are_taken_in_order():
    labels = np.array([1, 0, 1, 0, 1, 0, 0])
    assert long_tail(labels, ratio=0.5, largest=4).tolist() == [0, 1, 2, 3, 5, 6]


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        (np.zeros((4, 2), int), {}, r"shape \(4, 2\)"),
        (np.zeros(4), {}, r"dtype float64"),
        (np.zeros(4, int), {}, r"at least two classes"),
        (np.array([0, 1]), {"ratio": 0.0}, r"Received: ratio=0.0"),
        (np.array([0, 1]), {"ratio": 1.5}, r"Received: ratio=1.5"),
        (np.array([0, 0, 1]), {"ratio": 0.01}, r"Wanted: \[2, 0\]. There are: \[2, 1\]"),
        (np.array([0, 0, 1]), {"ratio": 1.0}, r"Wanted: \[2, 2\]. There are: \[2, 1\]"),
        (np.array([0, 0, 1]), {"largest": 3}, r"Received: ratio=0.01, largest=3"),
    ],
)
def test_what_cannot_be_chosen_is_refused(labels, arguments, message):
    with pytest.raises(ValueError, match=message):
        long_tail(labels, **arguments)

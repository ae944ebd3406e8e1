import numpy as np
import pytest
import tensorflow as tf

from keras_kd.data import balanced_classes

LABELS = np.repeat([0, 1, 2], [900, 90, 10]).astype("int32")


def dataset(labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((np.arange(len(labels)), labels))


def drawn(balanced):
    rows, labels = next(balanced.batch(len(balanced)).as_numpy_iterator())
    return rows, labels


def test_classes_come_equally_often():
    balanced = balanced_classes(dataset(), 3)
    assert len(balanced) == len(LABELS)
    rows, labels = drawn(balanced)
    np.testing.assert_array_equal(LABELS[rows], labels)
    # A fair draw of 1,000 is within 5 standard deviations of a third.
    assert np.abs(np.bincount(labels) - 1_000 / 3).max() < 5 * np.sqrt(1_000 * 2 / 9)


def test_rare_examples_come_equally_often():
    rows, labels = drawn(balanced_classes(dataset(), 3))
    often = np.bincount(rows[labels == 2])[LABELS == 2]
    assert often.max() - often.min() <= 1


def test_each_pass_draws_anew_and_a_seed_draws_the_same():
    balanced = balanced_classes(dataset(), 3, seed=1)
    first, second = drawn(balanced)[0], drawn(balanced)[0]
    assert (first != second).any()
    np.testing.assert_array_equal(first, drawn(balanced_classes(dataset(), 3, seed=1))[0])
    assert (first != drawn(balanced_classes(dataset(), 3, seed=2))[0]).any()


def test_inputs_may_be_structures():
    data = dataset().map(lambda row, label: ({"inputs": row}, label))
    x, _ = next(iter(balanced_classes(data, 3).batch(4)))
    assert x["inputs"].shape == (4,)


@pytest.mark.parametrize(
    ("classes", "counts"), [(4, r"\[900, 90, 10, 0\]"), (2, r"\[900, 90, 10\]")]
)
def test_other_classes_are_refused(classes, counts):
    with pytest.raises(ValueError, match=f"num_classes={classes}, counts={counts}"):
        balanced_classes(dataset(), classes)


@pytest.mark.parametrize("change", ["repeat", "filter"])
def test_a_length_that_is_not_known_is_refused(change):
    data = dataset().repeat() if change == "repeat" else dataset().filter(lambda *_: True)
    with pytest.raises(ValueError, match="finite data set of known length"):
        balanced_classes(data, 3)

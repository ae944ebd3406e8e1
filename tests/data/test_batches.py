import keras
import numpy as np
import pytest

from keras_kd.data.batches import batches

pytestmark = pytest.mark.core


class Pairs(keras.utils.PyDataset):
    def __init__(self, length):
        super().__init__()
        self.length = length

    @property
    def num_batches(self):
        return self.length

    def __getitem__(self, index):
        return np.full((2, 3), index), np.array([index, index])


def tf_dataset(arrays):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays)


def test_arrays_come_in_order_and_the_last_batch_may_be_smaller():
    x, y, w = np.arange(10).reshape(5, 2), np.arange(5), np.linspace(0, 1, 5)
    walked = list(batches((x, y, w), batch_size=2))
    assert [len(batch[0]) for batch in walked] == [2, 2, 1]
    for place, whole in enumerate((x, y, w)):
        np.testing.assert_array_equal(np.concatenate([batch[place] for batch in walked]), whole)


@pytest.mark.parametrize("data", [np.ones((3, 2)), {"a": np.ones((3, 2))}, (np.ones((3, 2)), None)])
def test_what_is_missing_is_none(data):
    ((_, y, sample_weight),) = batches(data)
    assert y is None
    assert sample_weight is None


@pytest.mark.parametrize("kind", [list, tuple])
def test_several_inputs_keep_their_structure(kind):
    a, b, y = np.zeros((4, 2)), np.ones((4, 1)), np.arange(4)
    ((x, labels, _),) = batches((kind([a, b]), y))
    assert isinstance(x, kind)
    np.testing.assert_array_equal(x[1], b)
    np.testing.assert_array_equal(labels, y)


def test_tf_dataset_yields_numpy():
    data = tf_dataset(({"a": np.arange(5.0)}, np.arange(5))).batch(3)
    walked = list(batches(data))
    assert [type(batch[0]["a"]) for batch in walked] == [np.ndarray] * 2
    np.testing.assert_array_equal(np.concatenate([batch[1] for batch in walked]), np.arange(5))


def test_py_dataset_is_walked_once_from_start_to_end():
    assert [y[0] for _, y, _ in batches(Pairs(3))] == [0, 1, 2]


@pytest.mark.parametrize("data", [(np.zeros((0, 2)), np.zeros(0)), Pairs(0)])
def test_data_that_yields_nothing_is_refused(data):
    with pytest.raises(ValueError, match="yields no batch"):
        list(batches(data))


def test_tf_dataset_that_yields_nothing_is_refused():
    with pytest.raises(ValueError, match="yields no batch"):
        list(batches(tf_dataset((np.ones((2, 2)), np.ones(2))).batch(2).take(0)))


def test_data_that_never_ends_is_refused_at_once():
    with pytest.raises(ValueError, match="never ends"):
        next(batches(tf_dataset((np.ones((2, 2)), np.ones(2))).batch(2).repeat()))
    with pytest.raises(ValueError, match="never ends"):
        next(batches(Pairs(None)))


def test_data_set_that_is_not_batched_is_refused():
    with pytest.raises(ValueError, match=r"data\.batch\(32\)"):
        next(batches(tf_dataset((np.ones((4, 2)), np.ones(4)))))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((np.ones((3, 2)), np.ones(4)), r"lengths=\[3, 4\]"),
        ((np.ones((2, 1)), [1, 2]), "not Python numbers"),
        ("digits", "data='digits'"),
        (iter([np.ones((2, 2))]), "PyDataset"),
    ],
)
def test_other_data_is_refused_with_what_was_received(data, message):
    with pytest.raises(ValueError, match=message):
        list(batches(data))

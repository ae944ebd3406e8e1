"""Whether examples were used before."""

import keras
import numpy as np
import pytest
from models_for_tests import examples

from keras_kd.tuning.first_batches import first_batches
from keras_kd.tuning.known_examples import known_share

pytestmark = [pytest.mark.core, pytest.mark.alike]

X, Y = examples(20)


class Endless(keras.utils.PyDataset):
    @property
    def num_batches(self):
        return None

    def __getitem__(self, number):
        return X, Y


def test_the_same_inputs_are_known_whatever_holds_them():
    others = examples(20, seed=1)[0]
    assert known_share(others, X) == 0.0
    assert known_share(X[:], X.copy()) == 1.0
    assert known_share(np.concatenate([others[:15], X[3:8]]), X) == 0.25
    assert known_share({"a": X, "b": Y}, {"a": X, "b": Y}) == 1.0
    assert known_share(keras.ops.convert_to_tensor(X), X) == 1.0
    assert known_share((one for one in X), X) == 0.0


def test_what_a_cache_adds_to_the_inputs_is_left_out():
    import tensorflow as tf

    labelled = tf.data.Dataset.from_tensor_slices(({"inputs": X, "teacher_outputs": X}, Y))
    assert known_share(X, labelled.batch(8)) == 1.0
    assert known_share(labelled.batch(8), X) == 1.0


def test_inputs_that_come_again_by_chance_are_no_sign():
    rng = np.random.default_rng(0)
    used, new = (rng.integers(0, 2, (count, 5)) for count in (2000, 100))
    assert known_share(new, used) == 0.0


def test_data_that_never_end_have_first_batches():
    import tensorflow as tf

    endless = tf.data.Dataset.from_tensor_slices((X, Y)).batch(20).repeat()
    for data in (endless, Endless()):
        (batch,) = first_batches(data, 1)
        np.testing.assert_array_equal(batch[0], X)
        np.testing.assert_array_equal(batch[1], Y)

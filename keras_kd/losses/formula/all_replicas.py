"""The samples of all replicas of a `tf.distribute` strategy."""

import keras
from keras import ops

from keras_kd.lazy_modules import tf


class AllReplicas:
    """What the replicas that run one step together have of a batch, each as many samples.

    Outside of a replica, on one, and on other backends than TensorFlow there is nothing to bring
    together.
    """

    def __init__(self):
        self._context = None
        if keras.backend.backend() == "tensorflow":
            self._context = tf.distribute.get_replica_context()

    @property
    def are_several(self):
        """Whether other replicas have samples too."""
        return self._context is not None and self._context.num_replicas_in_sync > 1

    def gathered(self, value):
        """Returns the rows of all replicas; a gradient goes back to the one a row came from."""
        value = ops.convert_to_tensor(value)
        if value.dtype == tf.bool:  # which cannot be summed
            return ops.cast(self.gathered(ops.cast(value, "int32")), "bool")
        # A sum of what is 0 at the others' places. `all_gather` fails where a process has one
        # replica (TensorFlow 2.21: "destinations can not be empty").
        places = tf.range(self._context.num_replicas_in_sync)
        is_own = places == self._context.replica_id_in_sync_group
        is_own = ops.reshape(is_own, (-1, *[1] * len(value.shape)))
        rows = self._context.all_reduce("SUM", tf.where(is_own, value, tf.zeros_like(value)))
        return ops.reshape(rows, (-1, *ops.shape(value)[1:]))

    def own(self, values):
        """Returns what a formula made of gathered rows, of this replica's samples alone."""
        places = self._context.num_replicas_in_sync
        values = ops.reshape(values, (places, -1, *ops.shape(values)[1:]))
        return values[self._context.replica_id_in_sync_group]

"""The samples of all replicas of a `tf.distribute` strategy."""

import keras
from keras import ops

from keras_kd.lazy_modules import tf


class AllReplicas:
    """What the replicas that run one step together have of a batch.

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
        if value.dtype == tf.bool:  # which no collective operation takes
            return ops.cast(self.gathered(ops.cast(value, "int32")), "bool")
        return self._context.all_gather(value, axis=0)

    def own(self, values, rows):
        """Returns those of `values`, one a sample of all replicas, that belong to this one's rows.

        Args:
            values: What a formula made of gathered values.
            rows: How many samples this replica has.
        """
        counts = self._context.all_gather(tf.reshape(rows, (1,)), axis=0)
        first = tf.reduce_sum(counts[: self._context.replica_id_in_sync_group])
        return values[first : first + rows]

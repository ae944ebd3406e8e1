"""The batches of a data set, of which each process of a strategy takes its part."""

import itertools

import keras

from keras_kd.lazy_modules import tf


class WorkerBatches:
    """Passes over a batched `tf.data.Dataset` that the processes of a strategy share.

    Each batch is split among all replicas. A data set whose options switch sharding off is a
    process' own share: then every process gives as many batches, of the whole batch's size, and
    goes through each in so many steps as there are processes.

    Args:
        strategy: A `tf.distribute.MultiWorkerMirroredStrategy`.
        data: The data set, whose batches have one known size that divides by the replicas.
        steps: Batches in a pass, of data that begin again when they end; None for all.

    Attributes:
        steps: Steps in a pass, or None where that cannot be known.

    Raises:
        TypeError, ValueError: If the data are no such data set, or differ between the processes.
    """

    def __init__(self, strategy, data, steps=None):
        check_batches(strategy, data)
        policies = tf.data.experimental.AutoShardPolicy
        options = tf.data.Options()
        policy = data.options().experimental_distribute.auto_shard_policy
        if policy == policies.AUTO:  # which goes by files, and these may hold unlike numbers
            policy = policies.DATA
        options.experimental_distribute.auto_shard_policy = policy
        is_share = policy == policies.OFF
        _check_alike(strategy, data, steps, is_share)
        data = (data if steps is None else data.repeat()).with_options(options)
        self._data = strategy.experimental_distribute_dataset(data)
        self._endless = None if steps is None else iter(self._data)
        count = int(data.cardinality())
        processes = strategy.num_replicas_in_sync // len(strategy.extended.worker_devices)
        known = count * (processes if is_share else 1) if count >= 0 else None
        self.steps = known if steps is None else steps

    def __iter__(self):
        if self._endless is None:
            return iter(self._data)
        return itertools.islice(self._endless, self.steps)


def check_batches(strategy, data):
    """Raises if the data are not in batches that the replicas of a strategy can split."""
    if not isinstance(data, tf.data.Dataset):
        raise TypeError(
            "Over several processes data come from a tf.data.Dataset, which each of them makes "
            f"alike. Received: {type(data).__name__}"
        )
    shapes = [tuple(spec.shape) for spec in keras.tree.flatten(data.element_spec)]
    sizes = {shape[0] if shape else None for shape in shapes}
    replicas = strategy.num_replicas_in_sync
    if None in sizes or any(size % replicas for size in sizes):
        raise ValueError(
            "Over several processes all batches have one size that divides by the number of "
            "replicas, or a replica would have nothing to take a mean of: "
            "`batch(size, drop_remainder=True)`. "
            f"Received: {replicas} replicas, batches of shapes {shapes}"
        )


def _check_alike(strategy, data, steps, is_share):
    """Raises in every process if they do not go through as many batches: they would wait."""
    count = int(data.cardinality())
    if steps is None and is_share and count < 0:
        raise ValueError(
            "How many batches a process' own share has must be known, for all processes need as "
            "many: give `steps_per_epoch`, or tell by `tf.data.experimental.assert_cardinality`. "
            f"Received: cardinality={count}"
        )
    mine = tf.constant([[count, -1 if steps is None else steps]], "int64")
    found = strategy.gather(mine, axis=0).numpy().tolist()
    if any(each != found[0] for each in found):
        raise ValueError(
            "All processes of a strategy must go through as many batches. Received: "
            + ", ".join(f"{batches} batches, steps={told}" for batches, told in found)
        )

"""Data whose order nobody changes from outside."""

import tensorflow as tf


def fixed_order(dataset) -> tf.data.Dataset:
    """Returns the same data, out of reach of options that are set on what is made of them.

    `options.deterministic = False` lets every parallel `map` of a pipeline hand on what is ready
    first, also of the part that was made before, and sharding by files reaches into it: examples
    would meet the answers to others. A dataset that is captured as a value is left as it is.

    Args:
        dataset: A `tf.data.Dataset`.
    """
    spec = dataset.element_spec
    value = tf.raw_ops.WrapDatasetVariant(input_handle=tf.data.experimental.to_variant(dataset))

    def unwrap(_):
        variant = tf.raw_ops.UnwrapDatasetVariant(input_handle=value)
        return tf.data.experimental.from_variant(variant, spec)

    return tf.data.Dataset.range(1).flat_map(unwrap)

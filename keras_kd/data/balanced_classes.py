"""Every class as often as every other."""

from keras_kd.data.whole_data import cached
from keras_kd.lazy_modules import tf


def balanced_classes(
    dataset: "tf.data.Dataset", num_classes: int, *, seed: int = 0
) -> "tf.data.Dataset":
    """Draws as many examples as the set has, each from a class that is drawn evenly.

    Examples of rare classes come again and again, those of frequent ones not in every epoch. Each
    pass draws anew.

    Args:
        dataset: Unbatched, of `(x, label)` with integer labels in 0..`num_classes - 1`, of known
            length, and finite.
        num_classes: How many classes there are.
        seed: Of the order and the draws.

    Returns:
        An unbatched data set of the same length.

    Raises:
        ValueError: If the length is not known, or a class has no example.

    Example:

    >>> import tensorflow as tf
    >>> from keras_kd.data import balanced_classes
    >>> rare = tf.data.Dataset.from_tensor_slices((tf.range(100), [0] * 95 + [1] * 5))
    >>> even = balanced_classes(rare, 2)
    >>> len(even), 30 < sum(int(label) for _, label in even) < 70
    (100, True)

    Reference: balanced ("class-aware") sampling, as in Shen, Lin, Huang, "Relay Backpropagation for
    Effective Learning of Deep Convolutional Neural Networks", ECCV 2016.
    """
    import numpy as np

    size = int(dataset.cardinality())
    if size < 0:
        raise ValueError(
            "A finite data set of known length was expected: "
            "`dataset.apply(tf.data.experimental.assert_cardinality(n))` tells it. "
            f"Received: dataset={dataset}"
        )
    labels = np.array(list(dataset.map(lambda _, label: label).as_numpy_iterator()), "int64")
    counts = np.bincount(labels, minlength=num_classes)
    if len(counts) > num_classes or not counts.all():
        raise ValueError(
            f"Each of the {num_classes} classes must have an example, and there must be no other. "
            f"Received: num_classes={num_classes}, counts={counts.tolist()}"
        )

    def only(number):
        chosen = dataset.filter(lambda _, label: tf.equal(tf.cast(label, tf.int64), number))
        count = int(counts[number])
        return cached(chosen, count).shuffle(count, seed=seed + number).repeat()

    return tf.data.Dataset.sample_from_datasets(
        [only(number) for number in range(num_classes)],
        seed=seed,
        rerandomize_each_iteration=True,
    ).take(size)

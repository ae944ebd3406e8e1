"""The data set that a student trains on: the examples, and what the teacher said of them."""

import tensorflow as tf

from keras_kd.cache.components import rebuild
from keras_kd.cache.fixed_order import fixed_order
from keras_kd.cache.shards import parse_block

_TOGETHER = 16  # examples that are put together at a time, where they are small and of one shape
_SMALL = 2**20  # bytes of an example
_FILES_AHEAD = 4


def replay(shards, source, header, components) -> tf.data.Dataset:
    """Returns the source's examples with the teacher's answers; each pass draws the next view.

    Args:
        shards: The `Shards`, complete.
        source: The `Source`.
        header: The cache's header.
        components: The `Component`s.
    """
    count, size = shards.examples, header["shard_examples"]
    source.expect(count)
    numbers = range(-(-count // size))
    files = [[str(shards.file(v, n)) for n in numbers] for v in range(source.views)]
    structure, blocks_a_file = header["structure"], size // header["block_examples"]

    def one_pass(view):
        chosen = tf.gather(tf.constant(files), view)
        answers = _answers(chosen, structure, components, blocks_a_file)
        return _together(_examples(source, view), answers, count)

    dataset = one_pass(0) if source.views == 1 else _next_view(source.views).flat_map(one_pass)
    return fixed_order(dataset).apply(tf.data.experimental.assert_cardinality(count))


def _examples(source, view):
    if source.augment is None:
        return source.dataset.enumerate()

    def augment(index, element):
        x, *rest = element if isinstance(element, tuple) else (element,)
        x = source.augmented(index, x, view)
        return index, (x, *rest) if isinstance(element, tuple) else x

    # TensorFlow fails to fuse a parallel map with a batch inside `flat_map`: a prefetch parts them.
    examples = source.dataset.enumerate().map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.prefetch(_TOGETHER)


def _answers(files, structure, components, blocks_a_file):
    """Reads the shards in their order, the next ones already while one is given out."""
    records = tf.data.Dataset.from_tensor_slices(files).interleave(
        tf.data.TFRecordDataset,
        cycle_length=_FILES_AHEAD,
        block_length=blocks_a_file,
        num_parallel_calls=_FILES_AHEAD,
        deterministic=True,
    )
    blocks = records.map(
        lambda record: rebuild(structure, parse_block(record, components)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return blocks.unbatch()


def _together(examples, answers, count):
    """Pairs examples with answers.

    A function called for a few examples at a time costs a fraction of one called for each. The last
    batch is never full: it asks for one example more, where data that grew raise their error.
    """
    pairs = tf.data.Dataset.zip((examples, answers))
    leaves = tf.nest.flatten(pairs.element_spec)
    known = all(leaf.shape.is_fully_defined() for leaf in leaves if hasattr(leaf, "shape"))
    dense = all(isinstance(leaf, tf.TensorSpec) for leaf in leaves)
    if dense and known and sum(_size(leaf) for leaf in leaves) <= _SMALL:
        size = next(size for size in range(_TOGETHER, 2 * _TOGETHER) if count % size)
        pairs = tf.data.Dataset.zip((examples.batch(size), answers.batch(size)))
        return pairs.map(_element).unbatch()
    pairs = tf.data.Dataset.zip((_looking_ahead(examples), answers))
    return pairs.map(_element, num_parallel_calls=tf.data.AUTOTUNE)


def _looking_ahead(examples):
    """Gives each example only when the next one, or the end, has been seen."""
    return examples.window(2, shift=1).flat_map(lambda *parts: tf.data.Dataset.zip(parts).take(1))


def _element(example, answer):
    index, element = example
    x, *rest = element if isinstance(element, tuple) else (element,)
    x = {"inputs": x, **answer}
    if "teacher_features" in answer:
        x["index"] = tf.cast(index, tf.int32)
    return (x, *rest) if isinstance(element, tuple) else x


def _size(leaf):
    return leaf.shape.num_elements() * (leaf.dtype.size or 1)


def _next_view(views):
    """A data set of one number: another view each time it is read, all before one comes again."""
    with tf.device("CPU"):  # where tf.data reads it
        passes = tf.Variable(0, trainable=False, dtype=tf.int64)
        seed = tf.random.uniform((), maxval=2**31 - 1, dtype=tf.int32)

    def draw(_):
        number = passes.assign_add(1) - 1
        cycle = tf.cast(number // views, tf.int32)
        order = tf.random.experimental.stateless_shuffle(tf.range(views), seed=[seed, cycle])
        return order[number % views]

    return tf.data.Dataset.range(1).map(draw)

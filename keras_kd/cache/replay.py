"""The data set that a student trains on: the examples, and what the teacher said of them."""

import math

from keras_kd.cache.components import rebuild
from keras_kd.cache.shards import parse_block
from keras_kd.lazy_modules import tf

_TOGETHER = 16  # examples that are held at a time
_SMALL = 2**20  # bytes of an example
_FILES_AHEAD = 4


def replay(shards, source, header, components) -> "tf.data.Dataset":
    """Returns the source's examples with the teacher's answers; each pass draws the next view.

    Args:
        shards: The `Shards`, complete.
        source: The `Source`.
        header: The cache's header.
        components: The `Component`s.
    """
    count, size = shards.examples, header["shard_examples"]
    may_grow = source.length < 0
    source.expect(count)
    numbers = range(-(-count // size))
    files = [[str(shards.file(v, n)) for n in numbers] for v in range(source.views)]
    structure, blocks_a_file = header["structure"], size // header["block_examples"]

    def one_pass(view):
        chosen = tf.gather(tf.constant(files), view)
        blocks = _blocks(chosen, structure, components, blocks_a_file)
        examples = _examples(source, view)
        return _together(_looking_ahead(examples, count) if may_grow else examples, blocks, count)

    dataset = one_pass(0) if source.views == 1 else _next_view(source.views).flat_map(one_pass)
    return _fixed_order(dataset).apply(tf.data.experimental.assert_cardinality(count))


def _examples(source, view):
    if source.augment is None:
        return source.dataset

    def augment(index, element):
        x, *rest = element if isinstance(element, tuple) else (element,)
        x = source.augmented(index, x, view)
        return (x, *rest) if isinstance(element, tuple) else x

    # TensorFlow fails to fuse a parallel map with a batch inside `flat_map`: a prefetch parts them.
    examples = source.dataset.enumerate().map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.prefetch(_TOGETHER)


def _blocks(files, structure, components, blocks_a_file):
    """Reads the shards in their order, the next ones already while one is given out."""
    records = tf.data.Dataset.from_tensor_slices(files).interleave(
        tf.data.TFRecordDataset,
        cycle_length=_FILES_AHEAD,
        block_length=blocks_a_file,
        num_parallel_calls=_FILES_AHEAD,
        deterministic=True,
    )
    return records.map(
        lambda record: rebuild(structure, parse_block(record, components)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def _together(examples, blocks, count):
    """Pairs examples with answers; a function so small is fastest where it is called."""
    parts = [examples, blocks.unbatch()]
    if "teacher_features" in blocks.element_spec:
        parts.append(tf.data.Dataset.range(count, output_type=tf.int32))
    return tf.data.Dataset.zip(tuple(parts)).map(_element, synchronous=True)


def _looking_ahead(examples, count):
    """Gives the last example only when the end has been seen: data that grew raise an error there.

    The last batch is never full, so that it asks for one example more.
    """
    if _bytes(examples.element_spec) <= _SMALL:
        size = next(size for size in range(_TOGETHER, 2 * _TOGETHER) if count % size)
        return examples.batch(size).unbatch()
    return examples.window(2, shift=1).flat_map(lambda *parts: tf.data.Dataset.zip(parts).take(1))


def _bytes(spec):
    """Returns the size of an element, infinite where it is not known or no tensor."""
    leaves = tf.nest.flatten(spec)
    if not all(isinstance(leaf, tf.TensorSpec) for leaf in leaves):
        return math.inf
    if not all(leaf.shape.is_fully_defined() for leaf in leaves):
        return math.inf
    return sum(leaf.shape.num_elements() * leaf.dtype.size for leaf in leaves)


def _element(element, answer, number=None):
    x, *rest = element if isinstance(element, tuple) else (element,)
    x = {"inputs": x, **answer}
    if number is not None:
        x["index"] = number
    return (x, *rest) if isinstance(element, tuple) else x


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


def _fixed_order(dataset) -> "tf.data.Dataset":
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

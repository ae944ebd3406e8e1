"""The data set that a student trains on: the examples, and what the teacher said of them."""

import math

import numpy as np

from keras_kd.cache.array_reader import read_arrays
from keras_kd.cache.components import rebuild
from keras_kd.cache.shards import parse_block
from keras_kd.lazy_modules import tf

_TOGETHER = 16  # examples that are held at a time
_SMALL = 2**20  # bytes of an example
_FILES_AHEAD = 4
_HELD = 2**25  # bytes of answers that are held: opening files would cost each pass more


def replay(shards, source, header, components) -> "tf.data.Dataset":
    """Returns the source's examples with the teacher's answers; each pass draws the next view.

    Args:
        shards: The `Shards`, complete.
        source: The `Source`.
        header: The cache's header.
        components: The `Component`s.
    """
    count, may_grow = shards.examples, source.length < 0
    source.expect(count)
    if count * source.views * sum(_read_size(each) for each in components) <= _HELD:
        answers = _from_memory(shards, source.views)
    else:
        answers = _from_files(shards, source.views, header, components)

    def one_pass(view):
        examples = _examples(source, view)
        return _together(_looking_ahead(examples, count) if may_grow else examples, answers(view))

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


def _read_size(component):
    return math.prod(component.shape) * tf.as_dtype(component.read_as).size


def _from_memory(shards, views):
    """Returns what gives a view's answers, which are read from the files once."""
    found = [read_arrays(shards, view) for view in range(views)]
    with tf.device("CPU"):  # where tf.data reads them
        held = tf.nest.map_structure(lambda *each: tf.constant(np.stack(each)), *found)

    def answers(view):
        with tf.device("CPU"):
            chosen = tf.nest.map_structure(lambda each: tf.gather(each, view), held)
            return (tf.data.Dataset.from_tensor_slices(chosen),)

    return answers


def _from_files(shards, views, header, components):
    """Returns what gives a view's answers, which are read anew in each pass."""
    count, size = shards.examples, header["shard_examples"]
    numbers = range(-(-count // size))
    files = [[str(shards.file(v, n)) for n in numbers] for v in range(views)]
    blocks_a_file = size // header["block_examples"]

    def answers(view):
        chosen = tf.gather(tf.constant(files), view)
        blocks = _blocks(chosen, header["structure"], components, blocks_a_file)
        if "teacher_features" not in blocks.element_spec:
            return (blocks.unbatch(),)
        return blocks.unbatch(), tf.data.Dataset.range(count, output_type=tf.int32)

    return answers


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


def _together(examples, answers):
    """Pairs examples with answers; a function so small is fastest where it is called."""
    return tf.data.Dataset.zip((examples, *answers)).map(_element, synchronous=True)


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

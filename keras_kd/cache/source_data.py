"""The data that a teacher labels."""

import itertools

import keras
import numpy as np

from keras_kd.cache.components import rows_of
from keras_kd.cache.fingerprints import content_digest
from keras_kd.checks import check_takes
from keras_kd.data.whole_data import ended
from keras_kd.features.string_inputs import as_arrays
from keras_kd.lazy_modules import tf

HEAD = 16  # examples that are read twice to see that the data hold still
_AUGMENTED = 4  # examples whose augmented views tell one augmentation from another
_WAY_OUT = "give data in a fixed order, without a shuffle, and shuffle what `label` returns"


class Source:
    """Unbatched examples in a fixed order, and how each view of them is augmented.

    Args:
        dataset: A `tf.data.Dataset` of `x`, `(x, y)` or `(x, y, sample_weight)`, or arrays so.
        augment: None, or `f(x, seed) -> x` of one example.
        views: How many times each example is augmented.
        input_spec: The teacher's inputs, batch first, of `KerasTensor`; None if it does not tell.
        first: The position of the first example, where these are part of a larger data set.

    Raises:
        TypeError, ValueError: If these are no such data.
    """

    def __init__(self, dataset, augment=None, views=1, input_spec=None, first=0):
        if not isinstance(views, int) or isinstance(views, bool) or views < 1:
            raise ValueError(f"`views` must be an integer from 1. Received: views={views!r}")
        if augment is not None and not callable(augment):
            raise TypeError(
                f"`augment` must be a function f(x, seed). Received: augment={augment!r}"
            )
        if augment is not None:
            check_takes("augment", augment, "f(x, seed) -> x of one example", (2,))
        if augment is None and views > 1:
            raise ValueError(
                "Views without augmentation would all be the same: give `augment=f(x, seed)`. "
                f"Received: views={views}, augment=None"
            )
        options = tf.data.Options()
        options.deterministic = True
        self.dataset = _dataset(as_arrays(dataset)).with_options(options)
        self.augment, self.views = augment, views
        self.first, self.length = first, int(self.dataset.cardinality())
        if self.length == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "The data must come to an end: call `repeat` on what `label` returns. "
                "Received: a dataset of infinite cardinality"
            )
        self.inputs, spec = self.dataset, self.dataset.element_spec
        if isinstance(spec, tuple) and not 1 <= len(spec) <= 3:
            raise ValueError(
                "The dataset must hold x, (x, y) or (x, y, sample_weight). Received: elements of "
                f"{len(spec)} parts"
            )
        if isinstance(spec, tuple):
            self.inputs = self.dataset.map(lambda x, *_: x)
        seen = self.inputs.element_spec
        _check_elements(seen if augment is None else self._pairs(0).element_spec[1], input_spec)

    @property
    def total(self) -> int:
        """How many examples the data set has; below 0 where that is unknown."""
        return self.length

    def batches(self, view, size):
        """Yields `(x, what the teacher sees of it)` in batches of at most `size`."""
        if self.augment is None:
            yield from ((x, x) for x in self.untouched(size))
        else:
            yield from _batches(self._pairs(view), size)

    def expect(self, count):
        """Makes the data raise an error where they turn out longer or shorter than `count`."""
        self.dataset = self.dataset.apply(tf.data.experimental.assert_cardinality(count))

    def untouched(self, size, count=None):
        """Yields the inputs as they are, or the first `count`, in batches of at most `size`."""
        inputs = self.inputs if count is None else self.inputs.take(count)
        yield from _batches(inputs, size)

    def windows(self, starts, count):
        """Yields `(positions, x)` of `count` examples from each of `starts` on, in one reading.

        Args:
            starts: Positions in rising order, at least `count` apart.
            count: How many; the last window has what is left.
        """
        first = tf.constant(starts, "int64")
        chosen = self.inputs.enumerate().filter(
            lambda index, _: tf.reduce_any((first <= index) & (index < first + count))
        )
        yield from _batches(chosen, count)

    def seen(self, window, view):
        """Returns what the teacher saw of a window's examples, as one batch."""
        examples = tf.data.Dataset.from_tensor_slices(window)
        seen = examples.map(lambda index, x: self.augmented(index, x, view))
        return next(_batches(seen, rows_of(window)))

    def augmented(self, index, x, view):
        """Returns a view of one example, the same whenever it is asked for."""
        if self.augment is None:
            return x
        seed = tf.stack([tf.cast(index, tf.int32), tf.cast(view, tf.int32)])
        return self.augment(x, seed)

    def _pairs(self, view, start=0):
        return (
            self.inputs.enumerate(self.first)
            .skip(start)
            .map(
                lambda index, x: (x, self.augmented(index, x, view)),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        )

    def digests(self) -> dict:
        """Returns digests of the first examples and of their views.

        Raises:
            ValueError: If there is no example, or data or augmentation differ when asked again.
        """
        first, again = self._head(), self._head()
        if first != again:
            raise ValueError(
                "The data must be the same each time they are read, since labels belong to "
                f"positions: {_WAY_OUT}. Received: a dataset whose first {HEAD} examples "
                "differed in a second reading"
            )
        views, again = self._views(0), self._views(0)
        # From another start, too: numbers drawn from a global seed would come in the same order.
        if views != again or [view[1:] for view in views] != self._views(1):
            raise ValueError(
                "`augment` must give the same for the same example and seed: use "
                "tf.image.stateless_* or other stateless operations with the seed that it is "
                "given. Received: an augmentation that differed when it was repeated"
            )
        return {"data": first, "augmentation": views or None}

    def _head(self):
        head = next(_batches(self.inputs.take(HEAD), HEAD), None)
        if head is None:
            raise ValueError("There must be at least one example. Received: an empty dataset")
        return content_digest(head)

    def _views(self, start):
        """Returns for some views the digests of the first examples, from `start` on."""
        if self.augment is None:
            return []
        few = range(min(self.views, _AUGMENTED))
        pairs = (self._pairs(view, start).take(_AUGMENTED - start) for view in few)
        return [[content_digest(seen) for _, seen in _batches(view, 1)] for view in pairs]


def _batches(dataset, size):
    """Yields batches of at most `size` examples, or says why they cannot be put together."""
    options = tf.data.Options()
    options.autotune.enabled = False  # when its thread sleeps, the end of the data waits for it
    try:
        yield from ended(dataset.batch(size).with_options(options))
    except tf.errors.InvalidArgumentError as error:
        if "different shapes" not in error.message:
            raise
        raise ValueError(
            "All examples must have one shape: pad or resize them before they are labelled. "
            f"Received: {error.message.split('. [')[0]}"
        ) from error


def _dataset(data):
    if isinstance(data, tf.data.Dataset):
        return data
    if isinstance(data, dict) or hasattr(data, "__array__"):
        parts = data
    elif isinstance(data, list | tuple) and 1 <= len(data) <= 3:
        parts = tuple(part for part in data if part is not None)
        if any(part is None for part in data[: len(parts)]):
            raise ValueError(
                "Sample weights belong to labels. Received: dataset=(x, None, sample_weight)"
            )
    else:
        raise TypeError(
            "`dataset` must be an unbatched tf.data.Dataset, or arrays x, (x, y) or "
            f"(x, y, sample_weight). Received: dataset of type {type(data).__name__}"
        )
    parts = keras.tree.map_structure(np.asarray, _tuples(parts))
    lengths = {len(leaf) if leaf.ndim else None for leaf in keras.tree.flatten(parts)}
    if len(lengths) > 1 or None in lengths:
        raise ValueError(
            f"The arrays must be equally long. Received: lengths={sorted(map(str, lengths))}"
        )
    return tf.data.Dataset.from_tensor_slices(parts)


def _tuples(part):
    if isinstance(part, list | tuple):
        return tuple(_tuples(each) for each in part)
    if isinstance(part, dict):
        return {name: _tuples(each) for name, each in part.items()}
    return part


def _check_elements(spec, wanted):
    """Raises if an example is not what the teacher takes, less the batch."""
    leaves = keras.tree.flatten(spec)
    if any(not isinstance(leaf, tf.TensorSpec) for leaf in leaves):
        raise TypeError(f"The inputs must be dense tensors. Received: {spec}")
    if wanted is None:
        return
    expected = _by_name(wanted)
    given = dict(spec) if isinstance(spec, dict) else {}
    if given and not set(expected) <= set(given):
        raise ValueError(
            "The examples are dicts without the teacher's inputs: with TFDS, say "
            f"as_supervised=True, or map them to (x, y). Received: {sorted(given)}. "
            f"The teacher takes {sorted(expected)}"
        )
    pairs = (
        [(given[name], tensor) for name, tensor in expected.items()]
        if given
        else itertools.zip_longest(leaves, keras.tree.flatten(wanted))
    )
    for found, tensor in pairs:
        _check_shape(found, tensor)


def _by_name(wanted):
    if isinstance(wanted, dict):
        return wanted
    return {tensor.name: tensor for tensor in keras.tree.flatten(wanted)}


def _check_shape(found, wanted):
    shape = None if found is None else found.shape
    expected = None if wanted is None else tuple(wanted.shape)[1:]
    if shape is not None and shape.rank is None:
        return
    if shape is not None and expected is not None:
        # Keras adds an axis of one to what lacks it, and takes it away.
        one_more = shape.is_compatible_with(expected[:-1]) and expected[-1:] == (1,)
        one_less = shape[:-1].is_compatible_with(expected) and shape[-1:] == (1,)
        if shape.is_compatible_with(expected) or one_more or one_less:
            return
        if shape.rank == len(expected) + 1:
            raise ValueError(
                "The dataset must not be batched, since labels belong to single examples: call "
                f"`unbatch()` on it. Received: elements of shape {tuple(shape)}, where the "
                f"teacher takes {expected}"
            )
    raise ValueError(
        "Each example must have the shape of the teacher's input. Received: "
        f"{None if shape is None else tuple(shape)}, expected: {expected}"
    )

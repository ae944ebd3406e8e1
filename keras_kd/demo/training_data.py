"""What each kind of student learns from."""

import functools
import math

import numpy as np

from keras_kd.data.whole_data import cached
from keras_kd.demo.augmentation import VIEWS
from keras_kd.lazy_modules import tf

BATCH_SIZE = 64
NO_LABEL = -1
SMALL = 10_000  # images that are kept in memory
_LARGEST = 2**30  # bytes that they may take


class TrainingData:
    """The training images in endless batches, so that all students take as many steps.

    Args:
        data: A `keras_kd.data.ImageData`.
        labels: How many of its images are labelled for the students.
        augment: An `Augmentation`, or None.
    """

    def __init__(self, data, labels, augment=None):
        self.train, self.labels, self.augment = data.train, labels, augment
        self.is_labelled = bool(data.class_names)
        fit = _LARGEST // (4 * math.prod(data.image_shape))
        self.held = max(1, min(len(data.train), SMALL, fit))

    def __call__(self, kind, seed, told=None):
        """Returns the batches that a kind of student learns from.

        Args:
            kind: `"alone"`, `"distilled"` or `"all_labels"`.
            seed: Which images are labelled, and their order.
            told: The images with the teacher's answers, for the distilled.
        """
        if kind == "distilled" and not self.is_labelled:
            return self._batches(told.map(lambda x, _: x), seed)
        if kind == "all_labels" or (kind == "alone" and self.labels == len(self.train)):
            return self._batches(self._seen(self.train, seed), seed)
        labelled = self._labelled(seed)
        if kind == "distilled":

            def hide(number, example):
                x, y = example
                return x, tf.where(labelled[number], y, NO_LABEL)

            return self._batches(told.enumerate().map(hide), seed)
        few = self.train.enumerate().filter(lambda number, _: labelled[number])
        few = few.map(lambda _, example: example)
        if self.labels <= self.held:
            few = cached(few, self.labels)
        return self._batches(self._seen(few, seed), seed)

    def keep(self, told):
        """Returns the images with the teacher's answers, in memory where each pass is the same."""
        if self.augment is None and len(told) <= self.held:
            return cached(told, len(told))
        return told

    @functools.cached_property
    def _all_labels(self):
        return np.array(list(self.train.map(lambda _, y: y).as_numpy_iterator()))

    def _labelled(self, seed):
        """Returns which images are labelled: of all classes as many, as far as that goes."""
        labels = self._all_labels
        order = np.random.default_rng(seed).permutation(len(labels))
        # The first of every class, then the second of every class, and so on.
        turn = np.empty(len(labels), int)
        for each in np.unique(labels):
            of_class = order[labels[order] == each]
            turn[of_class] = np.arange(len(of_class))
        chosen = order[np.argsort(turn[order], kind="stable")][: self.labels]
        labelled = np.zeros(len(labels), bool)
        labelled[chosen] = True
        return tf.constant(labelled)

    def _seen(self, examples, seed):
        """Returns what a net without teacher sees: as many views as the teacher answers."""
        if self.augment is None:
            return examples
        draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)

        def look(numbered, draw):
            number, (x, y) = numbered
            view = tf.cast(draw % VIEWS, tf.int32)
            return self.augment(x, tf.stack([tf.cast(number, tf.int32), view])), y

        return tf.data.Dataset.zip((examples.enumerate(), draws)).map(look)

    def _batches(self, examples, seed):
        return examples.shuffle(self.held, seed=seed).repeat().batch(BATCH_SIZE).prefetch(2)

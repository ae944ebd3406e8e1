"""Mixup and CutMix of images that carry a teacher's answers."""

from __future__ import annotations

from typing import Any

import keras

from keras_kd.cache.class_probabilities import class_probabilities
from keras_kd.checks import check_whole_number
from keras_kd.lazy_modules import tf
from keras_kd.typing import Tensor

_LOG_SMALLEST = 1.2e-38  # float32's smallest normal number: log of it is finite


class MixLabels:
    """Mixes the images of a batch, with their labels and what the teacher said, as one.

    A function for `map` after the cache, on batches. Each image is mixed with another one of its
    batch by a layer of Keras, and so are, with the same partner and the same coefficient:

    ```
    y' = c y_i + (1 - c) y_j,   p' = c p_i + (1 - c) p_j,   teacher_outputs = log p'
    ```

    The teacher never sees the mixed image: its answer is mixed instead, at temperature 1. Labels
    come back as rows of class probabilities, so the student's loss must be
    `keras.losses.CategoricalCrossentropy`. Weights are mixed likewise. The example's "index" is
    left out, since a mixed image is none of the examples. CutMix' coefficient is the area of its
    box, which Keras' layer pastes in whole pixels.

    Args:
        layer: `keras.layers.MixUp` or `keras.layers.CutMix`, which draws partners and coefficients
            from its seed, and computes in float32.
        num_classes: The number of classes. None (the default) takes it from the teacher's answers,
            or from the labels if they are rows.

    Call arguments: `x = {"inputs": images, "teacher_outputs": answers}` with images `(B, H, W, C)`
    and answers of one softmax: logits `(B, classes)`, `{"probabilities": p}` or top-k labels;
    optional `y`, integers `(B,)` or `(B, 1)` or rows `(B, classes)`; optional weights `(B,)`.

    Returns: What it was given, mixed, in float32.

    Raises:
        TypeError: If `layer` is none of the two.
        tf.errors.InvalidArgumentError: While it runs, if an integer label is no class.
        ValueError: If it does not compute in float32, or the batch is not as above; if it carries
            features, since those of a mixed image are no mixture.

    Example:

    >>> import keras, keras_kd, numpy as np, tensorflow as tf
    >>> x = {"inputs": np.ones((4, 8, 8, 3)), "teacher_outputs": np.ones((4, 10))}
    >>> train = tf.data.Dataset.from_tensor_slices((x, np.arange(4)))
    >>> mix = keras_kd.cache.MixLabels(keras.layers.MixUp(alpha=0.2, seed=1))
    >>> x, y = next(iter(train.shuffle(4).batch(2).map(mix)))
    >>> x["teacher_outputs"].shape, y.shape
    (TensorShape([2, 10]), TensorShape([2, 10]))

    Reference: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; Yun et al.,
    "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV
    2019.
    """

    def __init__(self, layer: keras.layers.Layer, *, num_classes: int | None = None) -> None:
        if not isinstance(layer, keras.layers.MixUp | keras.layers.CutMix):
            raise TypeError(
                "`layer` must be a keras.layers.MixUp or keras.layers.CutMix. "
                f"Received: layer={layer!r}"
            )
        if layer.compute_dtype != "float32":
            raise ValueError(
                "`layer` must compute in float32, since probabilities are mixed with the images: "
                f"{type(layer).__name__}(..., dtype='float32'). "
                f"Received: layer of {layer.compute_dtype}"
            )
        if num_classes is not None:
            num_classes = check_whole_number("num_classes", num_classes, least=2)
        self.layer, self.num_classes = layer, num_classes

    def __call__(self, x: Any, y: Any = None, sample_weight: Tensor | None = None) -> Any:
        """Returns a batch's `x`, `(x, y)` or `(x, y, sample_weight)`, mixed."""
        images = _images(x)
        rows = _is_rows(y)
        classes = self.num_classes or (y.shape[-1] if rows else None)
        teacher = class_probabilities(x["teacher_outputs"], classes)
        classes = teacher.shape[-1]
        _check_lengths(images, y, sample_weight)
        parts = [teacher]
        if y is not None:
            parts.append(_class_rows(y, classes))
        if sample_weight is not None:
            parts.append(tf.reshape(tf.cast(sample_weight, tf.float32), (-1, 1)))
        # One label to the layer, so that all of it gets one coefficient and one partner.
        mixed = self.layer({"images": images, "labels": tf.concat(parts, axis=-1)}, training=True)
        teacher, *others = tf.split(mixed["labels"], [part.shape[-1] for part in parts], axis=-1)
        logits = tf.math.log(tf.maximum(teacher, _LOG_SMALLEST))
        x = {"inputs": mixed["images"], "teacher_outputs": logits}
        if sample_weight is not None:
            others[-1] = others[-1][:, 0]
        return (x, *others) if others else x


def _check_lengths(images, *beside):
    """Raises if labels or weights are of another number of examples than the images."""
    for part in (part for part in beside if part is not None):
        count, found = images.shape[0], tf.convert_to_tensor(part).shape[0]
        if None not in (count, found) and count != found:
            raise ValueError(
                "Images, labels and weights of a batch must be of the same examples. Received: "
                f"{count} images beside {found} labels or weights"
            )


def _images(x):
    """Returns the images of a batch that can be mixed."""
    if not isinstance(x, dict) or not {"inputs", "teacher_outputs"} <= set(x):
        received = sorted(x) if isinstance(x, dict) else type(x).__name__
        raise ValueError(
            "MixLabels goes after a cache, where `x` is {'inputs': images, 'teacher_outputs': "
            f"answers}}. Received: x={received}"
        )
    if "teacher_features" in x:
        raise ValueError(
            "A teacher's features of a mixed image are not the mixed features: mix data of a "
            "TeacherCache without `layers`. Received: x with "
            f"teacher_features={sorted(x['teacher_features'])}"
        )
    images = x["inputs"]
    if tf.nest.is_nested(images) or len(tf.convert_to_tensor(images).shape) != 4:
        received = tf.nest.map_structure(lambda part: tuple(part.shape), images)
        raise ValueError(
            "MixLabels mixes the images of a batch, (B, H, W, C): put it after `batch`. "
            f"Received: inputs of shape {received}"
        )
    return tf.cast(images, tf.float32)


def _is_rows(y):
    """Whether labels are rows of class probabilities, else class numbers."""
    if y is None:
        return False
    if tf.nest.is_nested(y):
        raise ValueError(f"MixLabels mixes labels of one output. Received: y={type(y).__name__}")
    y = tf.convert_to_tensor(y)
    rows = len(y.shape) == 2 and y.shape[-1] not in (1, None)
    numbers = y.dtype.is_integer and (len(y.shape) == 1 or tuple(y.shape[1:]) == (1,))
    if not rows and not numbers:
        raise ValueError(
            "Labels must be integers (B,) or (B, 1), or rows (B, classes). "
            f"Received: y of {y.dtype.name} and shape {tuple(y.shape)}"
        )
    return rows


def _class_rows(y, classes):
    """Returns labels as float32 rows."""
    if not _is_rows(y):
        message = f"Labels must be classes from 0 to {classes - 1}"
        y = tf.cast(tf.reshape(y, (-1,)), tf.int32)
        with tf.control_dependencies(
            [
                tf.debugging.assert_non_negative(y, message),
                tf.debugging.assert_less(y, classes, message),
            ]
        ):
            return tf.one_hot(y, classes, dtype=tf.float32)
    if y.shape[-1] != classes:
        raise ValueError(
            "Labels and the teacher's answers must be of the same classes. "
            f"Received: y={tuple(y.shape)}, the teacher's classes={classes}"
        )
    return tf.cast(y, tf.float32)

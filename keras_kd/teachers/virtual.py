"""A teacher that is no model: the labels, with some doubt."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras_kd.checks import check_number, check_whole_number
from keras_kd.lazy_modules import tf
from keras_kd.losses.formula.class_indices import check_classes


class Virtual:
    """Answers from the label alone: the right class gets one share, the others divide the rest.

    ```
    p(c) = correct                       for the label's class
    p(c) = (1 - correct) / (C - 1)       for each of the others
    logits = log p                       which a temperature softens like any teacher's
    ```

    It stands in where there is no teacher. What it says travels with the data, as a `TeacherCache`
    has it, so the Distiller is one without a teacher. The authors' settings are a temperature of 20
    and 0.9 for the labels, `Distiller(student, alpha=0.9, temperature=20.0)`.

    The loss is the paper's, of both distributions softened, times the T^2 of `KDLoss`. The authors'
    published code computes another one: it takes 0.99 for `correct`, softens the softmax of the
    probabilities in place of their logarithms, leaves the student unsoftened, averages over the
    classes too, and multiplies by 100 (ResNet-18 on CIFAR-100).

    Args:
        num_classes: C, at least 2.
        correct: What the label's class gets, above 1 / C and below 1. Defaults to 0.9.

    Raises:
        TypeError, ValueError: If an argument is wrong, or labels are no class numbers from 0 to
            C - 1. In a data set, where only a running step can tell, the answers to such a label
            are NaN, at which `fit` ends.

    Example:

    >>> import keras_kd, numpy as np
    >>> teacher = keras_kd.teachers.Virtual(3, correct=0.8)
    >>> np.exp(teacher.answers([2, 0]).astype("float64")).round(2).tolist()
    [[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]

    Reference: Yuan, Tay, Li, Wang, Feng, "Revisiting Knowledge Distillation via Label Smoothing
    Regularization", CVPR 2020 (Tf-KD_reg).
    """

    def __init__(self, num_classes: int, correct: float = 0.9) -> None:
        self.num_classes = check_whole_number("num_classes", num_classes, least=2)
        self.correct = check_number("correct", correct)
        if not 1.0 / num_classes < self.correct < 1.0:
            raise ValueError(
                "`correct` must be below 1 and above an equal share of all classes, "
                f"1 / {num_classes}. Received: correct={correct}"
            )
        self._right = math.log(self.correct)
        self._wrong = math.log((1.0 - self.correct) / (num_classes - 1))

    def answers(self, labels: Any) -> np.ndarray:
        """Returns the logits that it answers to an array of labels.

        Args:
            labels: Integers of shape `(...)`, or `(..., 1)` with two axes or more.

        Returns:
            Float32 of shape `(..., C)`.
        """
        labels = self._class_numbers(np.asarray(labels))
        check_classes("Virtual", labels, self.num_classes, None)
        hit = labels[..., None] == np.arange(self.num_classes)
        return np.where(hit, self._right, self._wrong).astype("float32")

    def label(self, data: Any) -> Any:
        """Returns labelled data with its answers, for a Distiller without a teacher.

        Args:
            data: A `tf.data.Dataset`, batched or not, of `(x, y)` or `(x, y, sample_weight)`, or
                arrays so, with class numbers `y`.

        Returns:
            The same with a dict in place of `x`, of `"inputs"`, which is `x`, and
            `"teacher_outputs"`, logits `(..., num_classes)`.
        """
        if hasattr(data, "element_spec"):  # of a tf.data.Dataset
            _check_labelled(data.element_spec)
            return data.map(
                lambda x, y, *weights: (self._parcel(x, self._symbolic(y)), y, *weights),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        _check_labelled(data)
        x, y, *weights = data
        return (self._parcel(x, self.answers(y)), y, *weights)

    def _parcel(self, x, answers):
        return {"inputs": x, "teacher_outputs": answers}

    def _symbolic(self, labels):
        """What `answers` gives, inside a `tf.data.Dataset`."""
        labels = tf.cast(self._class_numbers(labels), "int64")[..., None]
        hit = labels == tf.range(self.num_classes, dtype="int64")
        known = (labels >= 0) & (labels < self.num_classes)
        return tf.where(known, tf.where(hit, self._right, self._wrong), float("nan"))

    def _class_numbers(self, labels):
        dtype = keras.backend.standardize_dtype(labels.dtype)
        if "int" not in dtype:
            raise TypeError(
                "A virtual teacher answers to class numbers, which are integers; take the argmax "
                f"of one-hot rows. Received: labels of {dtype}"
            )
        column = len(labels.shape) > 1 and labels.shape[-1] == 1
        return labels[..., 0] if column else labels


def _check_labelled(data):
    parts = len(data) if isinstance(data, tuple | list) else 1
    if parts not in (2, 3) or isinstance(data[1], dict | list | tuple):
        raise ValueError(
            "A virtual teacher answers to labels: the data must be (x, y) or (x, y, sample_weight) "
            f"with one y. Received: {parts} {'part' if parts == 1 else 'parts'} of type "
            f"{type(data).__name__}"
        )

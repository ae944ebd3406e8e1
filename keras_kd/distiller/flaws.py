"""What in a batch makes the teacher's losses no numbers, and an error that names it.

A compiled step cannot raise. What it finds goes into the logs, as values that no loss has, and a
callback reads them where Keras has brought them to the host anyway.
"""

import functools
import math

import keras
import numpy as np
from keras import ops

_TEACHER = -math.inf
_DATA = -1e30  # means of it and of losses stay far below the next
_BELOW_ALL = -1e20
_OF_DATA = {"labels", "index"}


def as_logged(kd_loss, feature_loss, output_terms, answers, y_pred):
    """Returns the values for the logs, with what is wrong in place of those that are no numbers.

    Args:
        kd_loss: The weighted sum of the losses on outputs.
        feature_loss: A list of `(feature term, distance)`.
        output_terms: The terms that `kd_loss` sums.
        answers: What the teacher answered, or what the data carry of it.
        y_pred: The student's outputs.

    Returns:
        `kd_loss` and the list of distances. A sum that is no number although all that both models
        answered are was given labels or numbers of samples that there are not.
    """
    of_terms = [(output_terms, kd_loss), *(([term], each) for term, each in feature_loss)]
    values = [value for _, value in of_terms]
    broken = [ops.logical_not(ops.isfinite(value)) for value in values]
    teacher_broken = ops.logical_not(_are_numbers(answers))
    of_teacher = ops.logical_and(teacher_broken, functools.reduce(ops.logical_or, broken))
    reads_data = [any(_OF_DATA & set(term.loss.asks) for term in terms) for terms, _ in of_terms]
    if any(reads_data):
        models_fine = ops.logical_and(_are_numbers(y_pred), ops.logical_not(teacher_broken))
    logged = []
    for value, is_broken, reads in zip(values, broken, reads_data, strict=True):
        if reads:
            of_data = ops.logical_and(is_broken, models_fine)
            value = ops.where(of_data, _constant(_DATA, value), value)
        logged.append(ops.where(of_teacher, _constant(_TEACHER, value), value))
    return logged[0], logged[1:]


def _are_numbers(structure):
    leaves = [leaf for leaf in keras.tree.flatten(structure) if leaf is not None]
    leaves = [ops.convert_to_tensor(leaf) for leaf in leaves]
    leaves = [leaf for leaf in leaves if keras.backend.is_float_dtype(leaf.dtype)]
    are_numbers = [ops.all(ops.isfinite(leaf)) for leaf in leaves]
    return functools.reduce(ops.logical_and, are_numbers or [ops.convert_to_tensor(True)])


def _constant(number, like):
    return ops.convert_to_tensor(number, dtype=like.dtype)


class FlawCheck(keras.callbacks.Callback):
    """Ends `fit` at the first batch in whose logs a flaw stands."""

    async_safe = True  # it reads nothing but the logs

    def on_epoch_begin(self, epoch, logs=None):
        """Notes what messages need: within an epoch the model belongs to the step alone."""
        self._epoch, self._distiller = epoch, self.model

    def on_train_batch_end(self, batch, logs=None):
        """Raises a ValueError that names the teacher, or the labels."""
        logs, distiller = logs or {}, self._distiller
        terms = {"kd_loss": distiller.output_terms}
        terms |= {term.name: [term] for term in distiller.feature_terms}
        for name, of_name in terms.items():
            value = float(logs.get(name, 0.0))  # an operation of the backend's would cost more
            if not value < _BELOW_ALL:
                continue
            where = f"batch {batch} of epoch {self._epoch}, both from 0"
            if value == _TEACHER:
                raise ValueError(_blame(distiller, where))
            losses = [type(term.loss).__name__ for term in of_name]
            raise ValueError(
                f"{name} is no number, although all that student and teacher answer is: "
                f"{' and '.join(losses)} was given labels that are no classes of this output, or "
                f"numbers of samples beyond its `size`. Received: {where}"
            )


def _blame(distiller, where):
    if distiller.teacher is None:
        what, received = "What the data carry of a teacher", ""
        cure = "label the data with keras_kd.TeacherCache, which refuses such answers"
    else:
        what, received = "What the teacher answers", f", teacher '{distiller.teacher.name}'"
        cure = "give it the inputs that it was trained on, and look at its weights"
        if distiller.teacher_dtype:
            received += f" in {distiller.teacher_dtype}"
            cure += ", or at `teacher_dtype`"
    return (
        f"{what} must be finite numbers: {cure}. The student has learned of this batch: load an "
        f"earlier one. Received: NaN or infinity at {where}{received}"
    )


def check_arrays(output_terms, feature_terms, carried, labels, sample_weight):
    """Raises before training if arrays hold labels or numbers that a loss has no place for.

    Args:
        output_terms: The `OutputTerm`s.
        feature_terms: The terms that look inside.
        carried: What `x` of `fit` holds, by name.
        labels: `y` of `fit`.
        sample_weight: Weights, of which 0 lets a label be anything.
    """
    index = carried.get("index")
    index = index if isinstance(index, np.ndarray) else None
    for term in output_terms:
        of_term = None if labels is None or sample_weight is not None else term.part_of(labels)
        of_term = of_term if isinstance(of_term, np.ndarray) else None
        if of_term is not None and of_term.shape[1:] not in ((), (1,)):  # masks may leave some out
            of_term = None
        term.loss.check_arrays(of_term, index, term.classes)
    for term in feature_terms:
        term.loss.check_arrays(None, index, None)

"""Learns a mapping of a teacher's outputs on held-out labels."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_kd.checks import check_flag, check_number, check_whole_number
from keras_kd.data.batches import batches
from keras_kd.features.model_spec import input_spec_among, inspect_model
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.predict_with_masks import predict_with_masks
from keras_kd.features.string_inputs import as_arrays
from keras_kd.losses.formula.top_k import is_one_value
from keras_kd.losses.response_loss import ResponseLoss
from keras_kd.teachers.held_out_outputs import check_split, joined, positions
from keras_kd.teachers.mapping_training import MappingTraining, nll


@dataclasses.dataclass(frozen=True)
class MappingFit:
    """What `fit_mapping` found, on the examples that judged.

    Attributes:
        nll: Mean negative log likelihood of the labels under the mapped outputs, in nats.
        identity_nll: That under the outputs as they are.
        judged: How many examples (or tokens, or pixels) that is the mean of.
        steps: How many steps were taken.

    Example:

    >>> import keras_kd
    >>> found = keras_kd.teachers.MappingFit(nll=0.31, identity_nll=0.45, judged=200, steps=400)
    >>> round(found.identity_nll - found.nll, 2)
    0.14
    """

    nll: float
    identity_nll: float
    judged: int
    steps: int


def fit_mapping(
    mapping: keras.layers.Layer,
    data: Any,
    *,
    teacher: keras.Model | None = None,
    from_logits: bool | None = None,
    validation_split: float | None = None,
    steps: int = 400,
    learning_rate: float = 0.05,
    seed: int = 0,
) -> MappingFit:
    """Teaches a mapping of a teacher's outputs, in place, by the cross-entropy with labels.

    Give it data that the teacher has not learned from: on those it is surer than it has a right to
    be. The teacher runs once; then each of the steps, Adam's at a rate that falls to 0, sees all
    examples, whose outputs are held in memory. A part of them teaches nothing and judges: the best
    state on these is kept, which is the one before where no later one is better. So a mapping that
    begins as the identity ends no worse than the identity there.

    Args:
        mapping: A `teachers.OutputMapping`, or another built layer from logits to logits.
        data: Held-out examples with labels of classes, as `compare` takes them: a batched
            `tf.data.Dataset`, a `PyDataset` or arrays `(x, y)`, with or without sample weights.
            Without a teacher `x` is its outputs, or the `x` of a `TeacherCache`. Positions of
            weight 0, and those that the teacher masks, count for nothing.
        teacher: A built model of one output, which is run on `x`.
        from_logits: Whether the outputs are logits (True) or probabilities (False). None, the
            default, finds out from the teacher's last layer; outputs in the data are taken for
            logits, unless they look like probabilities, which is an error, or say
            `{"probabilities": p}`.
        validation_split: What part of the examples judges; with 0 all teach and judge. None, the
            default, is 0.2, and 0 for a mapping of a single number, as a temperature is, which
            learns nothing by heart.
        steps: At most. Defaults to 400.
        learning_rate: The first. Defaults to 0.05.
        seed: Of the draw of the examples that judge.

    Returns:
        A `MappingFit`: the negative log likelihood with the mapping and without it.

    Raises:
        TypeError, ValueError: If an argument is wrong, the outputs are no scores of as many
            classes as the mapping has, the labels are not of these, or nothing can be learned.

    Example:

    >>> import numpy as np, keras_kd
    >>> mapping = keras_kd.teachers.OutputMapping("temperature", classes=2)
    >>> outputs = np.log([[0.99, 0.01]] * 4)  # as sure as this, and right three times of four
    >>> found = keras_kd.teachers.fit_mapping(
    ...     mapping, (outputs, np.array([0, 0, 0, 1])), validation_split=0.0)
    >>> round(mapping.temperature, 1), found.nll < found.identity_nll  # log 99 / log 3
    (4.2, True)

    Reference: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """
    if not isinstance(mapping, keras.layers.Layer) or not mapping.built:
        raise TypeError(
            "`mapping` must be a built keras layer from logits to logits, such as "
            f"keras_kd.teachers.OutputMapping('temperature', classes). Received: mapping={mapping}"
        )
    steps = check_whole_number("steps", steps, least=1)
    share = check_split(validation_split)
    rate = check_number("learning_rate", learning_rate, above=0.0)
    flag = check_flag("from_logits", from_logits, or_none=True)
    answer = _Carried(flag) if teacher is None else _Answers(teacher, flag)
    parts = []
    for x, y, weight in batches(as_arrays(data)):
        value, mask = answer(x)
        logits = _logits(mapping, value, answer.is_logits if flag is None else flag)
        parts.append(positions(logits, y, mask, weight))
    held_out = joined(parts)
    training = MappingTraining(
        mapping,
        held_out.log_p.shape[-1],
        learning_rate=rate,
        validation_split=share,
        seed=seed,
    )
    judged = held_out.parted(training.validation_split, seed)[1]
    found, taken = training.train(held_out, steps)
    return MappingFit(found, nll(None, judged), len(judged.labels), taken)


class _Answers:
    """A teacher's answers to a batch and their mask.

    Attributes:
        is_logits: Whether they are logits, or None where it cannot be known.
    """

    def __init__(self, teacher, flag):
        if not isinstance(teacher, keras.Model) or not teacher.built:
            raise TypeError(f"`teacher` must be a built keras.Model. Received: teacher={teacher!r}")
        self.teacher = teacher
        self.spec = inspect_model(teacher, input_spec_among(teacher), {})
        outputs = keras.tree.flatten(self.spec.outputs)
        if len(outputs) != 1:
            raise ValueError(
                "A mapping is of one output: give a model of that one, such as "
                "keras.Model(teacher.input, teacher.output[name]). "
                f"Received: teacher '{teacher.name}' with {len(outputs)} outputs"
            )
        self.spec.check_classes_last(teacher.name)
        kind, (self.is_logits,) = self.spec.kinds[0], self.spec.is_logits
        if kind == "sigmoid":
            raise ValueError(
                "A mapping is of scores of classes that exclude one another. Received: teacher "
                f"'{teacher.name}', which ends in a sigmoid"
            )
        if self.is_logits is None and flag is None:
            raise ValueError(
                "It cannot be known whether the teacher returns logits or probabilities: say "
                "fit_mapping(from_logits=True) or False. Received: from_logits=None"
            )

    def __call__(self, x):
        inputs = own_inputs(x, self.teacher)
        given = predict_with_masks(self.teacher, inputs, self.spec.has_masks)
        value, mask = (each and keras.tree.flatten(each)[0] for each in map(_listed, given))
        return value, mask


def _listed(structure):
    return None if structure is None else [structure]


class _Carried:
    """What data carry in place of a teacher, and its mask."""

    def __init__(self, flag):
        self.is_logits = flag

    def __call__(self, x):
        mask = None
        if isinstance(x, dict) and "teacher_outputs" in x:
            masks = keras.tree.flatten(x.get("teacher_masks", {}))
            x, mask = x["teacher_outputs"], masks[0] if len(masks) == 1 else None
        if keras.tree.is_nested(x):
            if not is_one_value(x):
                raise ValueError(
                    "A mapping is of one output: take it out of the dict or list. Received: "
                    f"outputs of {sorted(x) if isinstance(x, dict) else len(x)}"
                )
        elif self.is_logits is None and _look_like_probabilities(np.asarray(x)):
            raise ValueError(
                "The outputs look like probabilities, whose rows sum to 1: say from_logits=False, "
                "or True if they are logits. Received: from_logits=None"
            )
        return x, mask


def _look_like_probabilities(values):
    values = values.astype("float32")
    within = values.ndim > 1 and values.size and values.min() >= 0.0 and values.max() <= 1.0
    return within and np.abs(values.sum(axis=-1) - 1.0).max() <= 1e-2


def _logits(mapping, value, is_logits):
    """Returns outputs as float32 logits `(..., C)`, of as many classes as a mapping has."""
    top_k = isinstance(value, dict) and "indices" in value
    classes = getattr(mapping, "classes", None)
    if top_k:
        if classes is None:
            raise ValueError(
                "Top-k labels do not tell how many classes there are, and neither does the "
                f"mapping: give it an attribute `classes`. Received: mapping={mapping}"
            )
        shape = (*np.shape(value["log_rest"]), classes)
    else:
        shape = np.shape(value["probabilities"] if isinstance(value, dict) else value)
    if len(shape) < 2 or shape[-1] < 2 or (classes is not None and shape[-1] != classes):
        raise ValueError(
            "Outputs (..., C) of scores of classes were expected, with the mapping's C. Received: "
            f"outputs of shape {tuple(shape)}, a mapping of {classes or 'any number of'} classes"
        )
    loss = ResponseLoss(name="fit_mapping")
    none = np.zeros(shape, "float32")
    return ops.convert_to_numpy(loss.prepare(value, none, {"teacher_from_logits": is_logits})[0])

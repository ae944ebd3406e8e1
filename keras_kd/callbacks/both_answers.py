"""What student and teacher say of the same batch, for callbacks that look at both."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras_kd.distiller.carried_data import unpack
from keras_kd.distiller.output_term import OutputTerm, follow, output_terms
from keras_kd.features.model_spec import input_spec_among, inspect_model
from keras_kd.features.own_inputs import own_inputs, told_whose
from keras_kd.features.predict_with_masks import predict_with_masks
from keras_kd.features.preprocessing import Preprocessing
from keras_kd.features.tap import mask_key
from keras_kd.losses import KDLoss
from keras_kd.losses.formula.keras_mask import both_real
from keras_kd.losses.formula.top_k import is_one_value
from keras_kd.losses.formula.without_ignored import without_ignored
from keras_kd.losses.response_loss import ResponseLoss


@dataclasses.dataclass(frozen=True)
class Answer:
    """What both say at one output.

    Attributes:
        student, teacher: Logits `(..., C)` as float32 tensors.
        mask: True where a position is real and has a label that the loss does not ignore, or None.
        labels, sample_weight: That output's part of what the batch has, or None.
    """

    student: Any
    teacher: Any
    mask: Any
    labels: Any
    sample_weight: Any


class BothAnswers:
    """Runs student and teacher, or reads what the data carry of a teacher, and trains nothing.

    Both run as `predict` does: without BatchNormalization's updates, without metrics.

    Args:
        distiller: A built Distiller.

    Attributes:
        terms: By name the terms of outputs that are scores of classes which exclude one another,
            those that `kd_loss` names; without a `kd_loss` all outputs.

    Raises:
        ValueError: If there is no such output.
    """

    def __init__(self, distiller):
        self.distiller = distiller
        student, teacher = distiller.student, distiller.teacher
        spec = input_spec_among(student, teacher)
        self._input_names = set(spec) if isinstance(spec, dict) else set()
        self._specs = [
            model and inspect_model(model, input_spec_among(model, student, teacher), {})
            for model in (student, teacher)
        ]
        terms = list(distiller.output_terms)
        if not terms:
            terms = output_terms(KDLoss(), student, self._specs[0], teacher, self._specs[1])
        self.terms: dict[str, OutputTerm] = {
            term.name: term
            for term in terms
            if isinstance(term.loss, ResponseLoss) and term.loss.activation == "softmax"
        }
        if not self.terms:
            raise ValueError(
                "Scores of classes that exclude one another were expected at one of the outputs "
                "that are distilled. Received: losses "
                f"{[f'{term.name}: {type(term.loss).__name__}' for term in terms]}"
            )

    def __call__(self, x, y=None, sample_weight=None) -> dict[str, Answer]:
        """Returns an `Answer` for each of the terms, by name."""
        student, teacher = self.distiller.student, self.distiller.teacher
        preprocessing = Preprocessing(student, teacher, self._unpack)
        if preprocessing.is_needed:
            x, y, sample_weight = preprocessing(x, y, sample_weight)
        carried = self._unpack(x)
        ours, our_masks = self._of("student", student, carried["inputs"], self._specs[0])
        theirs, mask_of, is_one = self._of_teacher(teacher, carried)
        found = {}
        for name, term in self.terms.items():
            path = () if is_one else term.teacher_path
            logits = term.logits(follow(term.student_path, ours), follow(path, theirs))
            mask = both_real(follow(term.student_path, our_masks), mask_of(path))
            labels = term.part_of(y)
            if term.loss.ignore_class is not None:
                labels, mask = without_ignored(term.loss, labels, mask, logits[0])
            found[name] = Answer(
                student=logits[0],
                teacher=logits[1],
                mask=mask,
                labels=labels,
                sample_weight=term.part_of(sample_weight),
            )
        return found

    def _of(self, role, model, inputs, spec):
        inputs = own_inputs(inputs, model)
        with told_whose(inputs, model, role):
            return predict_with_masks(model, inputs, spec.has_masks, may_be_raw=False)

    def _of_teacher(self, teacher, carried):
        """Returns the outputs, what gives the mask at a path, and whether they are one value."""
        if teacher is not None:
            inputs = carried.get("teacher_inputs", carried["inputs"])
            found, masks = self._of("teacher", teacher, inputs, self._specs[1])
            return found, lambda path: follow(path, masks), False
        if "teacher_outputs" not in carried:
            raise ValueError(
                "Without a teacher its outputs travel with these data, too: `x` must be a dict "
                "{'inputs': x, 'teacher_outputs': outputs}, as keras_kd.TeacherCache.label makes "
                f"them. Received: x with {sorted(carried)}"
            )
        masks = carried.get("teacher_masks", {})
        outputs = carried["teacher_outputs"]
        return outputs, lambda path: masks.get(mask_key(path)), is_one_value(outputs)

    def _unpack(self, x):
        return unpack(x, self._input_names, has_teacher=self.distiller.teacher is not None)

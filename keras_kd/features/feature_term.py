"""A feature loss, wired to the layers it compares."""

import types

import keras

from keras_kd.features.layer_tree import find_layer
from keras_kd.features.loss_term import LossTerm
from keras_kd.features.model_spec import symbolic_call
from keras_kd.features.projector import make_projector
from keras_kd.features.recording import watch
from keras_kd.features.tap import Tap
from keras_kd.losses.keras_mask import keras_mask


class FeatureTerm(LossTerm):
    """A feature loss with its taps, projectors and the mean of its distance.

    Args:
        loss: A `DistillationLoss` with `layers`.
        student: The student.
        teacher: The teacher.
        inspect: `inspect(model, taps) -> {tap: KerasTensor}`, what the tapped layers give.
    """

    def __init__(self, loss, student, teacher, inspect):
        super().__init__(loss, loss.name)
        self.tracker = keras.metrics.Mean(name=loss.name)
        pairs = [(Tap.of(ours), Tap.of(theirs)) for ours, theirs in loss.layers.items()]
        student_layers = {tap: find_layer(student, tap.layer, "student") for tap, _ in pairs}
        teacher_layers = {tap: find_layer(teacher, tap.layer, "teacher") for _, tap in pairs}
        ours, theirs = inspect(student, student_layers), inspect(teacher, teacher_layers)
        self.projectors = []
        self._wiring = types.SimpleNamespace(pairs=[])  # where Keras does not look for layers
        for number, (mine, other) in enumerate(pairs):
            where = f"student {mine.side} of '{mine.layer}' and teacher {other.side} of " + (
                f"'{other.layer}' ({loss.name})"
            )
            projector = make_projector(
                ours[mine].shape,
                theirs[other].shape,
                loss.match,
                where,
                f"{loss.name}_projector_{number}",
            )
            if projector is not None:
                self.projectors.append(projector)
            self._wiring.pairs.append(
                (student_layers[mine], mine, teacher_layers[other], other, projector)
            )
            self._rehearse(ours[mine], theirs[other], projector, where)
        for ours_layer, _, theirs_layer, _, _ in self._wiring.pairs:
            watch(ours_layer)
            watch(theirs_layer)

    def distance(self, student_recording, teacher_recording, sample_weight, training, **context):
        """Returns the loss between what the two recordings saw."""
        teacher_values, student_values, masks = [], [], []
        for ours_layer, ours, theirs_layer, theirs, projector in self._wiring.pairs:
            value = student_recording.value(ours_layer, ours)
            masks.append(keras_mask(value))
            student_values.append(
                value if projector is None else projector(value, training=training)
            )
            teacher_values.append(teacher_recording.value(theirs_layer, theirs))
        return self.loss(teacher_values, student_values, sample_weight, mask=masks, **context)

    def _rehearse(self, ours, theirs, projector, where):
        """Runs the formula on symbols, so that what cannot be compared fails now."""
        if "labels" in self.loss.asks:
            return

        def run(values):
            student_value, teacher_value = values
            if projector is not None:
                student_value = projector(student_value, training=False)
            return self.loss(teacher_value, student_value)

        try:
            symbolic_call(run, [ours, theirs])
        except ValueError as error:
            raise ValueError(
                f"The loss cannot compare {where}: student={tuple(ours.shape)}, "
                f"teacher={tuple(theirs.shape)}. {error}"
            ) from error

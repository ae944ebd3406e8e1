"""What one forward pass of both models left behind for the losses."""

import dataclasses

from keras_kd.distiller.carried_features import CarriedFeatures
from keras_kd.features.recording import Recording


@dataclasses.dataclass(frozen=True)
class Step:
    """One batch, after student and teacher have run on it.

    Attributes:
        student: The student's `Recording`.
        teacher: The teacher's, or what the data carry of its layers.
        inputs: What both models were given.
        teacher_outputs: What the teacher answered.
        context: What formulas may ask for by name: `labels`, `temperature`, `index`, `training`.
    """

    student: Recording
    teacher: Recording | CarriedFeatures
    inputs: object
    teacher_outputs: object
    context: dict

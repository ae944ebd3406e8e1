"""What can stand in for a teacher."""

from keras_kd.teachers.ensemble import Ensemble
from keras_kd.teachers.fit_mapping import MappingFit, fit_mapping
from keras_kd.teachers.fold_batch_normalization import fold_batch_normalization
from keras_kd.teachers.moving_average import MovingAverage
from keras_kd.teachers.output_mapping import OutputMapping
from keras_kd.teachers.per_output import PerOutput
from keras_kd.teachers.stacked import Stacked
from keras_kd.teachers.student_on import student_on
from keras_kd.teachers.tflite_teacher import TFLiteTeacher
from keras_kd.teachers.virtual import Virtual

__all__ = [
    "Ensemble",
    "MappingFit",
    "MovingAverage",
    "OutputMapping",
    "PerOutput",
    "Stacked",
    "TFLiteTeacher",
    "Virtual",
    "fit_mapping",
    "fold_batch_normalization",
    "student_on",
]

"""Looking inside a model: named values, and what makes two of them comparable."""

from keras_kd.features.simkd_student import student_with_teacher_classifier
from keras_kd.features.tap import Tap

__all__ = ["Tap", "student_with_teacher_classifier"]

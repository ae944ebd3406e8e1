"""What can stand in for a teacher."""

from keras_kd.teachers.ensemble import Ensemble

__all__ = ["Ensemble"]

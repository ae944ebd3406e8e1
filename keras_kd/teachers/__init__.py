"""What can stand in for a teacher."""

from keras_kd.teachers.ensemble import Ensemble
from keras_kd.teachers.fold_batch_normalization import fold_batch_normalization

__all__ = ["Ensemble", "fold_batch_normalization"]

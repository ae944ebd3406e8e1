"""Knowledge distillation for Keras."""

from keras_kd import callbacks, features, losses
from keras_kd.distiller import Distiller

__all__ = ["Distiller", "callbacks", "features", "losses"]

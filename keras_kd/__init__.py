"""Knowledge distillation for Keras."""

from keras_kd import features, losses
from keras_kd.distiller import Distiller

__all__ = ["Distiller", "features", "losses"]

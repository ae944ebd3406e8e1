"""The Distiller, and what one of its steps is made of."""

from keras_kd.distiller.distiller import Distiller

__all__ = ["Distiller"]

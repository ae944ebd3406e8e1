"""Looking inside a model: named values, and what makes two of them comparable."""

from keras_kd.features.tap import Tap

__all__ = ["Tap"]

"""Procedures over several models: students that teach each other, chains, generations, stages."""

from keras_kd.schemes.mutual_distiller import MutualDistiller

__all__ = ["MutualDistiller"]

"""Procedures over several models: students that teach each other, chains, generations, stages."""

from keras_kd.schemes.early_exit import EarlyAnswers, EarlyExit
from keras_kd.schemes.exit_table import ExitTable, exit_table
from keras_kd.schemes.mutual_distiller import MutualDistiller
from keras_kd.schemes.self_distiller import SelfDistiller

__all__ = [
    "EarlyAnswers",
    "EarlyExit",
    "ExitTable",
    "MutualDistiller",
    "SelfDistiller",
    "exit_table",
]

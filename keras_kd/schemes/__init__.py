"""Procedures over several models: students that teach each other, chains, generations, stages."""

from keras_kd.schemes.assistant_chain import assistant_chain
from keras_kd.schemes.born_again import BornAgainResult, born_again
from keras_kd.schemes.early_exit import EarlyAnswers, EarlyExit
from keras_kd.schemes.exit_table import ExitTable, exit_table
from keras_kd.schemes.joint_ensemble import JointEnsemble
from keras_kd.schemes.mutual_distiller import MutualDistiller
from keras_kd.schemes.route import route
from keras_kd.schemes.self_distiller import SelfDistiller
from keras_kd.schemes.sequence_result import SequenceResult
from keras_kd.schemes.stage import Stage
from keras_kd.schemes.stages import stages

__all__ = [
    "BornAgainResult",
    "EarlyAnswers",
    "EarlyExit",
    "ExitTable",
    "JointEnsemble",
    "MutualDistiller",
    "SelfDistiller",
    "SequenceResult",
    "Stage",
    "assistant_chain",
    "born_again",
    "exit_table",
    "route",
    "stages",
]

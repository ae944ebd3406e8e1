"""Procedures over several models: students that teach each other, chains, generations, stages."""

from keras_kd.schemes.assistant_chain import assistant_chain
from keras_kd.schemes.born_again import BornAgainResult, born_again
from keras_kd.schemes.route import route
from keras_kd.schemes.sequence_result import SequenceResult
from keras_kd.schemes.stage import Stage
from keras_kd.schemes.stages import stages

__all__ = [
    "BornAgainResult",
    "SequenceResult",
    "Stage",
    "assistant_chain",
    "born_again",
    "route",
    "stages",
]

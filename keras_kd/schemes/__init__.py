"""Procedures over several models: students that teach each other, chains, generations, stages."""

from keras_kd.schemes.assistant_chain import assistant_chain
from keras_kd.schemes.sequence_result import SequenceResult
from keras_kd.schemes.stage import Stage
from keras_kd.schemes.stages import stages

__all__ = [
    "SequenceResult",
    "Stage",
    "assistant_chain",
    "stages",
]

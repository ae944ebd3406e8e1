"""Procedures over several models: students that teach each other, chains, generations, stages."""

from keras_kd.schemes.assistant_chain import assistant_chain
from keras_kd.schemes.sequence_result import SequenceResult

__all__ = [
    "SequenceResult",
    "assistant_chain",
]

"""Models side by side: quality, agreement, size, speed."""

from keras_kd.evaluation.compare import compare
from keras_kd.evaluation.comparison import Comparison
from keras_kd.evaluation.difference import Difference

__all__ = ["Comparison", "Difference", "compare"]

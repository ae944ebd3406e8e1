"""Models side by side: quality, agreement, size, speed."""

from keras_kd.evaluation.compare import compare
from keras_kd.evaluation.comparison import Comparison
from keras_kd.evaluation.difference import Difference
from keras_kd.evaluation.feature_importance import FeatureImportance
from keras_kd.evaluation.importance import importance
from keras_kd.evaluation.latency import Latency
from keras_kd.evaluation.plot_history import plot_history
from keras_kd.evaluation.reliability import plot_reliability

__all__ = [
    "Comparison",
    "Difference",
    "FeatureImportance",
    "Latency",
    "compare",
    "importance",
    "plot_history",
    "plot_reliability",
]

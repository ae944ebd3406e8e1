"""What changes a running Distiller. One callback a file."""

from keras_kd.callbacks.alpha_scheduler import AlphaScheduler
from keras_kd.callbacks.equation_logger import EquationLogger
from keras_kd.callbacks.feature_matching import FeatureMatching
from keras_kd.callbacks.loss_shares import LossShares
from keras_kd.callbacks.loss_weight_scheduler import LossWeightScheduler
from keras_kd.callbacks.mapping_monitor import MappingMonitor
from keras_kd.callbacks.stop_at_target import StopAtTarget
from keras_kd.callbacks.strengthen import Strengthen
from keras_kd.callbacks.student_checkpoint import StudentCheckpoint
from keras_kd.callbacks.teacher_gap import TeacherGap
from keras_kd.callbacks.teacher_route import TeacherRoute
from keras_kd.callbacks.temperature_scheduler import TemperatureScheduler
from keras_kd.callbacks.weight_norm_rate import WeightNormRate

__all__ = [
    "AlphaScheduler",
    "EquationLogger",
    "FeatureMatching",
    "LossShares",
    "LossWeightScheduler",
    "MappingMonitor",
    "StopAtTarget",
    "Strengthen",
    "StudentCheckpoint",
    "TeacherGap",
    "TeacherRoute",
    "TemperatureScheduler",
    "WeightNormRate",
]

"""Knowledge distillation for Keras."""

from keras_kd import cache, callbacks, features, losses, scale, schemes, teachers, tuning
from keras_kd.cache import TeacherCache
from keras_kd.distiller import Distiller
from keras_kd.evaluation import compare, plot_history, plot_reliability
from keras_kd.export import export_student
from keras_kd.version import __version__

__all__ = [
    "Distiller",
    "TeacherCache",
    "__version__",
    "cache",
    "callbacks",
    "compare",
    "export_student",
    "features",
    "losses",
    "plot_history",
    "plot_reliability",
    "scale",
    "schemes",
    "teachers",
    "tuning",
]

"""A student's own rules: its `compute_loss`, its `compute_metrics` and the metrics it brings."""

import keras
from keras import ops

from keras_kd.features.strategy_scope import strategy_scope

_OURS = "_keras_kd_compiled"  # the compile config that a Distiller gave the student
_STEPS = ("train_step", "test_step")


class StudentRules:
    """What a student does beside its `call` when it is trained alone.

    Args:
        student: The student.

    Raises:
        ValueError: If it has a step of its own, which could not run inside a Distiller's.
    """

    def __init__(self, student):
        self.student = student
        for name in _STEPS:
            if _overrides(student, name):
                raise ValueError(
                    f"The student has a `{name}` of its own, which a Distiller's step would not "
                    "run: put its rule into `compute_loss` and `compute_metrics`, which count. "
                    f"Received: student '{student.name}' of class {type(student).__name__}"
                )
        self.computes_loss = _overrides(student, "compute_loss")
        self.computes_metrics = _overrides(student, "compute_metrics")

    @property
    def metrics(self):
        """The metrics that the student brings, without those of its own `compile`."""
        student = self.student
        compiled = [getattr(student, "_loss_tracker", None), student._compile_metrics]
        compiled += getattr(student._compile_loss, "metrics", [])
        known = {id(metric) for metric in compiled}
        return [metric for metric in student.metrics if id(metric) not in known]

    def loss(self, x, y, y_pred, sample_weight, training):
        """Returns what the student's own `compute_loss` gives, as Keras' step would ask for it."""
        student = self.student
        if student._compute_loss_has_training_arg:
            value = student.compute_loss(x, y, y_pred, sample_weight, training=training)
        else:
            value = student.compute_loss(x, y, y_pred, sample_weight)
        return ops.zeros(()) if value is None else value

    def update_metrics(self, x, y, y_pred, sample_weight):
        """Lets the student's own `compute_metrics` update its metrics."""
        if self.computes_metrics:
            self.student.compute_metrics(x, y, y_pred, sample_weight)

    def compile(self, loss, loss_weights, metrics, weighted_metrics):
        """Compiles the student for `evaluate` with what the Distiller was compiled with.

        A student that was compiled otherwise, or compiles in a way of its own, is left alone.
        """
        student = self.student
        is_ours = vars(student).get(_OURS) is getattr(student, "_compile_config", self)
        if _overrides(student, "compile") or (student.compiled and not is_ours):
            return
        with strategy_scope(student):
            # One without state of its own: `fit` of the student alone is for its user to compile.
            student.compile(
                keras.optimizers.SGD(),
                loss=loss,
                loss_weights=loss_weights,
                metrics=_copied(metrics),
                weighted_metrics=_copied(weighted_metrics),
            )
            student.optimizer.build(student.trainable_variables)
        vars(student)[_OURS] = student._compile_config


def _overrides(student, name):
    """Whether a method is not Keras' own, nor one of ours."""
    if name in vars(student):
        return True
    owner = next(cls for cls in type(student).__mro__ if name in vars(cls))
    return owner.__module__.split(".")[0] not in ("keras", "keras_kd")


def _copied(metrics):
    """The same metrics with a state of their own; those that cannot be made again are left out."""
    if isinstance(metrics, dict):
        return {name: _copied(each) for name, each in metrics.items()}
    if isinstance(metrics, list | tuple):
        return [_copied(each) for each in metrics]
    if not isinstance(metrics, keras.Metric):
        return metrics
    try:
        return type(metrics).from_config(metrics.get_config())
    except Exception:  # of whatever a stranger's class raises
        return None

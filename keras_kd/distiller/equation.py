"""The Distiller's equation in numbers: what each of its terms adds to the loss."""

import math
import warnings

import keras
from keras import ops

from keras_kd.distiller.followed_model import follows

_TOO_LARGE = 0.95
_MEANT = 0.9  # a weight of the teacher's answers that asks for a large share


def weights_now(distiller) -> dict:
    """Returns what each logged term is multiplied with, as numbers by name."""
    alpha = _number(distiller.alpha)
    weights = {"student_loss": alpha, "kd_loss": 1.0 - alpha}
    return weights | {term.name: _number(term.loss_weight) for term in distiller.feature_terms}


def parts_of(distiller, logs) -> dict:
    """Returns what each term adds to the loss, by name; the parts add up to `logs["loss"]`.

    Args:
        distiller: A Distiller.
        logs: What it logged of training. Where weights change within an epoch, the parts are those
            of the weights at its end.
    """
    weights = weights_now(distiller)
    parts = {name: weight * logs[name] for name, weight in weights.items() if name in logs}
    if distiller.losses:
        parts["regularisation"] = logs["loss"] - sum(parts.values())
    return parts


def shares_of(distiller, logs) -> dict:
    """Returns the parts of the equation as shares of their sum, without their signs."""
    parts = parts_of(distiller, logs)
    total = sum(abs(part) for part in parts.values()) or 1.0
    return {name: abs(part) / total for name, part in parts.items()}


def written(distiller) -> str:
    """Returns the equation with its weights, as text."""
    terms = [f"{weight:g} * {name}" for name, weight in weights_now(distiller).items()]
    rest = ["regularisation"] if distiller.losses else []
    return "loss = " + " + ".join([*terms, *rest])


def described(distiller) -> list:
    """Returns lines that say what a Distiller is made of."""
    own = {id(variable) for variable in distiller.student.trainable_variables}
    extra = [v for v in distiller.trainable_variables if id(v) not in own]
    teacher = distiller.teacher
    heard = "none: its answers travel with the data" if teacher is None else _model(teacher)
    moves = ", following the student" if follows(teacher) else ", frozen"
    lines = [
        f"  {written(distiller)}",
        f"  temperature: {_number(distiller.temperature):g}",
        f"  teacher: {heard}{'' if teacher is None else moves}",
        f"  student: {_model(distiller.student)}",
    ]
    if extra:
        count = sum(math.prod(variable.shape) for variable in extra)
        lines.append(f"  beside the student, of the losses: {count:,} trainable parameters")
    return lines


def _model(model):
    return f'"{model.name}" ({type(model).__name__}), {model.count_params():,} parameters'


class ShareCheck(keras.callbacks.Callback):
    """Warns after the first epoch if a term of the teacher's leaves the others next to nothing."""

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the shares of the epoch that ended."""
        distiller, checked = self.model, vars(self.model)
        if "_shares_checked" in checked or "loss" not in (logs or {}):
            return
        checked["_shares_checked"] = True
        weights, shares = weights_now(distiller), shares_of(distiller, logs)
        others = [name for name, share in shares.items() if share > 0.0]
        for name, share in shares.items():
            meant = name == "kd_loss" and weights[name] >= _MEANT
            of_teacher = name in weights and name != "student_loss"
            if len(others) > 1 and of_teacher and share > _TOO_LARGE and not meant:
                warnings.warn(_message(distiller, logs, name, share), stacklevel=2)


def _message(distiller, logs, name, share):
    parts, weight = parts_of(distiller, logs), weights_now(distiller)[name]
    added = ", ".join(f"{part} {value:.3g}" for part, value in parts.items())
    rest = sum(abs(value) for part, value in parts.items() if part != name)
    advice = (
        "Take a larger alpha or a lower temperature"
        if name == "kd_loss"
        else f"A weight of {weight * rest / abs(parts[name]):.3g} would make it half of the loss"
    )
    return (
        f"{name} is {share:.1%} of the loss, so that the other terms hardly count. {advice}. "
        f"Received: weight {weight:g}; what the terms add to a loss of {logs['loss']:.3g}: {added}"
    )


def _number(variable):
    return float(ops.convert_to_numpy(variable))

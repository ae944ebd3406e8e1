"""Where settings are searched for."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

from keras_kd.tuning.optuna_package import optuna_package
from keras_kd.tuning.settings import Settings

_WAYS = (
    "a range (low, high) or (low, high, 'log'), a list of choices, a dict of choices by name, or "
    "one of optuna.distributions"
)


class Space:
    """Settings by name, each with the values that it may take.

    Args:
        described: See `search`.

    Attributes:
        distributions: Optuna's description of each setting.
        never_read: Names that no `make_distiller` has asked for yet.

    Raises:
        TypeError, ValueError: If there is none, or one is described in another way.
    """

    def __init__(self, described: Mapping[str, Any]) -> None:
        if not isinstance(described, Mapping) or not described:
            raise ValueError(
                "`space` must be a dict of settings by name, such as {'alpha': (0.0, 1.0)}, or "
                "None where `make_distiller` asks an Optuna trial itself. Received: "
                f"space={described!r}"
            )
        for name in described:
            if not isinstance(name, str) or not name:
                raise TypeError(f"Names of settings are strings. Received: name={name!r}")
        self.distributions = {name: _distribution(name, each) for name, each in described.items()}
        self._named = {name: each for name, each in described.items() if isinstance(each, Mapping)}
        self.never_read = set(described)

    def settings(self, trial: Any) -> Settings:
        """Returns what a trial of Optuna suggests."""
        found = {name: _suggested(trial, name, d) for name, d in self.distributions.items()}
        for name, choices in self._named.items():
            found[name] = choices[found[name]]
        return Settings(found)

    def note(self, settings: Settings) -> None:
        """Remembers what was asked of the settings of a trial."""
        self.never_read -= settings.read

    def described(self) -> dict[str, str]:
        """Returns the space as text, by which a study knows it again."""
        to_json = optuna_package().distributions.distribution_to_json
        return {name: to_json(each) for name, each in self.distributions.items()}


def _distribution(name, given):
    kinds = optuna_package().distributions
    if isinstance(given, kinds.BaseDistribution):
        return given
    if isinstance(given, Mapping):
        _check_choices(name, list(given), all(isinstance(each, str) for each in given))
        return kinds.CategoricalDistribution(list(given))
    if isinstance(given, list):
        plain = all(each is None or isinstance(each, bool | int | float | str) for each in given)
        _check_choices(name, given, plain)
        return kinds.CategoricalDistribution(given)
    low, high, is_log = _range(name, given)
    if all(isinstance(end, numbers.Integral) for end in (low, high)):
        if high - low == 1:
            raise ValueError(
                "A range of two whole numbers is those two alone: write [0, 1] for them, or "
                f"(0.0, 1.0) for all between. Received: {name!r}: {given}"
            )
        return kinds.IntDistribution(int(low), int(high), log=is_log)
    return kinds.FloatDistribution(float(low), float(high), log=is_log)


def _check_choices(name, choices, are_plain):
    if not choices or not are_plain or len({repr(each) for each in choices}) < len(choices):
        raise ValueError(
            "Choices are numbers, texts, bools or None that differ; anything else is chosen by "
            "name, such as {'kd': KDLoss(), 'dkd': DKDLoss()}. "
            f"Received: {name!r}: {choices!r}"
        )


def _range(name, given):
    """Returns both ends of a range, and whether it is logarithmic."""
    is_log = isinstance(given, tuple) and len(given) == 3 and given[2] == "log"
    ends = given[:2] if is_log else given
    are_ends = isinstance(ends, tuple) and len(ends) == 2 and all(map(_is_number, ends))
    if not are_ends:
        raise ValueError(f"A setting is {_WAYS}. Received: {name!r}: {given!r}")
    low, high = ends
    if not low < high or (is_log and low <= 0):
        wanted = "0 < low < high" if is_log else "low < high"
        raise ValueError(f"A range with {wanted} was expected. Received: {name!r}: {given!r}")
    return low, high, is_log


def _is_number(value):
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_real and abs(value) < float("inf")  # NaN is not


def _suggested(trial, name, distribution):
    kinds = optuna_package().distributions
    if isinstance(distribution, kinds.CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    low, high, log = distribution.low, distribution.high, distribution.log
    if isinstance(distribution, kinds.IntDistribution):
        return trial.suggest_int(name, low, high, step=distribution.step, log=log)
    return trial.suggest_float(name, low, high, step=distribution.step, log=log)

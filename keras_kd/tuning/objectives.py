"""What a search makes as large, or as small, as it can."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

COSTS = ("latency", "parameters")
_DIRECTIONS = ("maximize", "minimize")
# Words in a metric's name by which it is known which way is better.
_MORE = {"accuracy", "acc", "auc", "f1", "iou", "map", "precision", "r2", "recall"}
_LESS = {"crossentropy", "divergence", "error", "latency", "loss", "mae", "mse", "parameters"}
_LESS |= {"perplexity", "rmse"}


@dataclasses.dataclass(frozen=True)
class Objective:
    """One figure that trials are judged by.

    Attributes:
        name: A metric in the logs of `fit`, or one of `COSTS`.
        direction: `"maximize"` or `"minimize"`.
    """

    name: str
    direction: str

    @property
    def is_cost(self) -> bool:
        """Whether it is measured on the trained student, and not logged."""
        return self.name in COSTS


def find_objectives(
    objectives: str | Sequence[str], directions: str | Sequence[str] | None
) -> list[Objective]:
    """Returns the objectives with their directions, or says what is wrong with them.

    Args:
        objectives: A name or several.
        directions: `"maximize"` or `"minimize"` for each, or None: by the words in the names.

    Raises:
        ValueError: If there is none, one comes twice or is a loss of the training data, or its
            direction is not known.
    """
    names = _listed("objectives", objectives)
    for name in names:
        if name.endswith("loss") and not name.startswith("val_"):
            raise ValueError(
                "A loss of the training data holds alpha, the temperature and the weights that "
                "are searched for, so that the best trial would be the one that asks for least: "
                f"take a metric of the validation data. Received: objectives={names}"
            )
    if directions is None:
        return [Objective(name, _direction(name)) for name in names]
    given = _listed("directions", directions, may_repeat=True)
    unknown = [each for each in given if each not in _DIRECTIONS]
    if unknown or len(given) != len(names):
        raise ValueError(
            f"`directions` must hold one of {list(_DIRECTIONS)} for each objective. Received: "
            f"directions={given}, objectives={names}"
        )
    return [Objective(*each) for each in zip(names, given, strict=True)]


def _listed(argument: str, given: Any, may_repeat: bool = False) -> list[str]:
    names = [given] if isinstance(given, str) else given
    are_names = isinstance(names, list | tuple) and all(isinstance(each, str) for each in names)
    if not are_names or not names or (len(set(names)) < len(names) and not may_repeat):
        raise ValueError(
            f"`{argument}` must be a name or several that differ, such as 'val_accuracy'. "
            f"Received: {argument}={given!r}"
        )
    return list(names)


def _direction(name):
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    if bool(words & _MORE) == bool(words & _LESS):
        raise ValueError(
            "Whether more or less of it is better cannot be told by its name: say so, "
            f"directions='maximize' or 'minimize'. Received: objective={name!r}"
        )
    return "maximize" if words & _MORE else "minimize"

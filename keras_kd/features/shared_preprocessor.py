"""The preprocessor of several of KerasHub's tasks that answer as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_kd.features.preprocessing import has_preprocessor


class SharedPreprocessor:
    """What makes a model of models a task, where all of them are tasks of one preprocessor.

    Every door here then sends raw data through it, once for all of the models.
    """

    @property
    def preprocessed_models(self) -> Sequence[keras.Model]:
        """The models that take what the preprocessor makes."""
        raise NotImplementedError

    @property
    def preprocessor(self) -> Any:
        """The one that all of the models share, or None; what is assigned, all tasks get."""
        return shared_preprocessor(self.preprocessed_models)

    def __setattr__(self, name: str, value: Any) -> None:
        # Keras would track a layer that is assigned, and not only hand it on.
        if name != "preprocessor":
            super().__setattr__(name, value)
            return
        for model in self.preprocessed_models:
            if hasattr(model, "preprocess_samples"):
                model.preprocessor = value

    def check_preprocessors(self) -> None:
        """Raises a ValueError if another's preprocessor would stand for the models' own."""
        models = {f"models[{at}]": model for at, model in enumerate(self.preprocessed_models)}
        check_shared(models, f"A {type(self).__name__}")

    def preprocess_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the preprocessor makes of `x`, `y` and `sample_weight`."""
        task: Any = self.preprocessed_models[0]
        return task.preprocess_samples(*args, **kwargs)


def shared_preprocessor(models: Iterable[keras.Model]) -> Any:
    """Returns the preprocessor that each of the models has, or None if they do not share one."""
    found = [model.preprocessor if has_preprocessor(model) else None for model in models]
    return found[0] if len({id(each) for each in found}) == 1 else None


def check_shared(models: Mapping[str, keras.Model], whose: str) -> None:
    """Raises a ValueError if a task among models would be called without its preprocessor.

    Args:
        models: The models by what messages call them.
        whose: What runs them.
    """
    kinds = {
        name: f"'{model.name}' with {_kind(model) or 'none'}" for name, model in models.items()
    }
    if not any(map(_kind, models.values())) or shared_preprocessor(models.values()) is not None:
        return
    raise ValueError(
        f"{whose} prepares a batch once, for all of its models: let them have one preprocessor, "
        "`second.preprocessor = first.preprocessor`, or preprocess the data and set "
        f"`preprocessor = None` on each. Received: preprocessors of their own, {kinds}"
    )


def _kind(model):
    return f"a {type(model.preprocessor).__name__}" if has_preprocessor(model) else ""

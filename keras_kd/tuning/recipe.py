"""How a model is made from settings, and fitted."""

from __future__ import annotations

import dataclasses
import inspect
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_kd.checks import check_takes
from keras_kd.distiller import Distiller
from keras_kd.schemes import SelfDistiller
from keras_kd.schemes.fit_arguments import callbacks_of
from keras_kd.tuning.auto_names import names_from
from keras_kd.tuning.fresh_session import fresh_session
from keras_kd.tuning.keras_state import counters
from keras_kd.tuning.objectives import Objective
from keras_kd.tuning.random_state import seeded
from keras_kd.tuning.space import Space


@dataclasses.dataclass
class Recipe:
    """What all trials of a search have in common.

    Attributes:
        make: The user's function, from settings, or from a trial, to a compiled model.
        space: Where settings are searched for; None where `make` asks the trial itself.
        fit: The arguments of `fit`, data and epochs among them.
        callbacks: A function from a training's name to callbacks, or None.
    """

    make: Callable[[Any], keras.Model]
    space: Space | None
    fit: dict[str, Any]
    callbacks: Callable[[str], Any] | None

    def __post_init__(self) -> None:
        self._seen: list[weakref.ref] = []
        self._names = counters()

    def train(
        self, trial: Any, seed: int, name: str, last: Sequence[keras.callbacks.Callback] = ()
    ) -> tuple[keras.Model, list[keras.callbacks.Callback]]:
        """Makes the model of a trial and fits it.

        Layers that are given no name have the same in each training.

        Args:
            trial: A trial of Optuna, running or fixed.
            seed: Of all that is random in it, by `keras.utils.set_random_seed`.
            name: What callbacks are made for.
            last: Callbacks that come after the user's.

        Returns:
            The model, and all its callbacks.
        """
        fresh_session()
        with names_from(self._names), seeded(seed):
            callbacks = callbacks_of(self.callbacks, name, 1)
            model = self._made(trial)
            callbacks = [*callbacks, *last]
            model.fit(**self.fit, callbacks=callbacks)
        return model, callbacks

    def _made(self, trial):
        if self.space is None:
            model = self.make(trial)
            if not trial.params:
                raise ValueError(
                    "`make_distiller` asked the trial for no setting, so that there is nothing to "
                    "search for: trial.suggest_float('alpha', 0.0, 1.0), or give a `space`. "
                    "Received: space=None"
                )
        else:
            settings = self.space.settings(trial)
            try:
                model = self.make(settings)
            finally:
                self.space.note(settings)
        self._check(model)
        return model

    def _check(self, model):
        if not isinstance(model, keras.Model):
            raise TypeError(
                "`make_distiller` must return a compiled keras.Model, such as a keras_kd.Distiller."
                f" Received: {model!r} of type {type(model).__name__}"
            )
        if not model.compiled:
            raise ValueError(
                "`make_distiller` must compile the model that it returns: distiller.compile(...). "
                f"Received: '{model.name}' of class {type(model).__name__}, compiled=False"
            )
        before = {id(held) for held in (ref() for ref in self._seen) if held is not None}
        again = [each.path for each in model.trainable_variables if id(each) in before]
        if again:
            raise ValueError(
                "Each trial begins with new weights, and these were trained in an earlier one: "
                "make the student inside `make_distiller`, and freeze what it shares with others. "
                f"Received: '{model.name}' with {again[:3]}{' ...' * (len(again) > 3)} again"
            )
        self._seen = [ref for ref in self._seen if ref() is not None]
        self._seen += [weakref.ref(each) for each in model.trainable_variables]


def checked_recipe(make: Any, space: Any, fit: dict[str, Any], callbacks: Any) -> Recipe:
    """Returns the recipe of a search, or says what is wrong with it.

    Raises:
        TypeError, ValueError: If `make` is no function of one argument, the space is empty or
            described in another way, or callbacks come in a list.
    """
    if not callable(make) or isinstance(make, keras.Model):
        raise TypeError(
            "`make_distiller` must be a function from settings to a compiled model. Received: "
            f"make_distiller={make!r}"
        )
    check_takes("make_distiller", make, "of the settings, or of an Optuna trial", (1,))
    if callbacks is not None and (
        not callable(callbacks) or isinstance(callbacks, keras.callbacks.Callback)
    ):
        raise TypeError(
            "Callbacks would carry what they know from one trial to the next: give a function that "
            "makes them anew, callbacks=lambda name: [keras.callbacks.EarlyStopping()], of a "
            f"training's name, 'search_trial_3'. Received: callbacks={callbacks!r}"
        )
    space = None if space is None else Space(space)
    return Recipe(make, space, fit, callbacks)


def check_validates(recipe: Recipe, objectives: Sequence[Objective]) -> None:
    """Raises a ValueError if an objective is measured on validation data, and there are none."""
    names = [each.name for each in objectives if each.name.startswith("val_")]
    data = recipe.fit.get("validation_data")
    if inspect.isgenerator(data):
        raise ValueError(
            "The first trial would use up a generator: give arrays, a tf.data.Dataset or a "
            f"keras.utils.PyDataset. Received: validation_data={data!r}"
        )
    if names and data is None and not recipe.fit.get("validation_split"):
        raise ValueError(
            "What is chosen by needs validation data: validation_data=(x, y) or a data set. "
            f"Received: objectives={names}, validation_data=None"
        )


def student_of(model: keras.Model) -> keras.Model:
    """Returns what is shipped of a model that was trained: a Distiller's student."""
    if isinstance(model, Distiller):
        return model.student
    return model.model if isinstance(model, SelfDistiller) else model

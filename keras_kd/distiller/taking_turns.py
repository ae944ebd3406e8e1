"""Distillers of one teacher in several threads."""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from typing import Any

import keras

from keras_kd.features.nested_layers import all_layers

_locks: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_of_teacher: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_finding = threading.Lock()
_NOTED = "_keras_kd_noted"


def alone_with(teacher):
    """Returns the context in which no other thread uses the teacher, where that is needed.

    On JAX Keras hands the variables' memory to the step, so a model has none while it is fitted,
    and a teacher none while one of its Distillers is: another one waits.
    """
    if teacher is None or keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    with _finding:
        if teacher not in _of_teacher:  # teachers may have parts in common, as ensembles members
            parts = sorted(all_layers(teacher), key=id)
            _of_teacher[teacher] = [_locks.setdefault(part, threading.RLock()) for part in parts]
        return _all_of(_of_teacher[teacher])


@contextlib.contextmanager
def _all_of(locks):
    with contextlib.ExitStack() as held:
        for lock in locks:  # in one order for all, so that no two wait for each other
            held.enter_context(lock)
        yield


@contextlib.contextmanager
def _values_kept(model):
    """Gives back their values to variables that an error in a step would leave without.

    On JAX Keras takes the values out of the variables before it traces the step, and what a step
    that fails was given is lost, the teacher's values, too.
    """
    vars(model)[_NOTED] = []
    try:
        yield
    except Exception:
        noted = vars(model).pop(_NOTED, [])
        if getattr(model, "_jax_state", None) is not None:
            model.jax_state_sync()
        for variable, value in noted:
            lost = variable._value is None or _is_deleted(variable._value)
            if lost and value is not None and not _is_deleted(value):
                variable._value = value
        raise
    finally:
        vars(model).pop(_NOTED, None)


def _note_values(model):
    """Keeps the values that all variables have, before Keras takes them."""
    if keras.backend.backend() == "jax" and _NOTED in vars(model):
        optimizer = getattr(model.optimizer, "variables", [])
        lists = (model.variables, getattr(model.teacher, "variables", []), optimizer)
        held = [*itertools.chain(*lists, model.non_trainable_variables, model.metrics_variables)]
        vars(model)[_NOTED] = [(variable, variable._value) for variable in held]


def _is_deleted(value):
    return hasattr(value, "is_deleted") and value.is_deleted()


class TurnTakingModel(keras.Model):
    """A model with a `teacher`, or None, whose steps run while no other thread uses that.

    An error in a step leaves all variables their values.
    """

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `fit`."""
        with alone_with(self.teacher), _values_kept(self):
            return super().fit(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `evaluate`."""
        with alone_with(self.teacher), _values_kept(self):
            return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `predict`."""
        with alone_with(self.teacher), _values_kept(self):
            return super().predict(*args, **kwargs)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `train_on_batch`."""
        with alone_with(self.teacher):
            return super().train_on_batch(*args, **kwargs)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `test_on_batch`."""
        with alone_with(self.teacher):
            return super().test_on_batch(*args, **kwargs)

    def predict_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `predict_on_batch`."""
        with alone_with(self.teacher):
            return super().predict_on_batch(*args, **kwargs)

    def make_train_function(self, force: bool = False) -> Any:
        """Keras' `make_train_function`."""
        made = super().make_train_function(force)
        _note_values(self)
        return made

    def make_test_function(self, force: bool = False) -> Any:
        """Keras' `make_test_function`."""
        made = super().make_test_function(force)
        _note_values(self)
        return made

    def make_predict_function(self, force: bool = False) -> Any:
        """Keras' `make_predict_function`."""
        made = super().make_predict_function(force)
        _note_values(self)
        return made

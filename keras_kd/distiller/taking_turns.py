"""Distillers of one teacher in several threads."""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import Any

import keras

from keras_kd.features.nested_layers import all_layers

_locks: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_finding = threading.Lock()


def alone_with(teacher):
    """Returns the context in which no other thread uses the teacher, where that is needed.

    On JAX Keras hands the variables' memory to the step, so a model has none while it is fitted,
    and a teacher none while one of its Distillers is: another one waits.
    """
    if teacher is None or keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    with _finding:  # teachers may have parts in common, as ensembles have members
        parts = sorted(all_layers(teacher), key=id)
        return _all_of([_locks.setdefault(part, threading.RLock()) for part in parts])


@contextlib.contextmanager
def _all_of(locks):
    with contextlib.ExitStack() as held:
        for lock in locks:  # in one order for all, so that no two wait for each other
            held.enter_context(lock)
        yield


class TurnTakingModel(keras.Model):
    """A model with a `teacher`, whose steps run while no other thread uses that."""

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `fit`."""
        with alone_with(self.teacher):
            return super().fit(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `evaluate`."""
        with alone_with(self.teacher):
            return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `predict`."""
        with alone_with(self.teacher):
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

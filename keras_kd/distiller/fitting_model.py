"""A model that looks at its data and its teacher before Keras runs its steps."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_kd.distiller import argument_checks
from keras_kd.distiller.equation import ShareCheck
from keras_kd.distiller.flaws import FlawCheck, check_arrays
from keras_kd.distiller.taking_turns import alone_with
from keras_kd.teachers.in_dtype import follow_weights


class FittingModel(keras.Model):
    """What a Distiller does around `fit` and `evaluate`, and before its steps are traced."""

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Keras' `fit`; data that yield no batch are an error on every backend."""
        if self._phase.unlabelled["train"]:  # labels, if they come now, bring metrics to be built
            self.train_function = None
        losses = [term.loss for term in [*self.output_terms, *self.feature_terms]]
        argument_checks.check_fitted_batches(losses, *args, **kwargs)
        given = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs).arguments
        carried = {} if given.get("x") is None else self._unpack(given["x"])
        beside = (given.get("y"), given.get("sample_weight"))
        check_arrays(self.output_terms, self.feature_terms, carried, *beside)
        with alone_with(self.teacher):
            follow_weights(self._untracked.running, self.teacher)
        whole = argument_checks.same_length()
        with whole, argument_checks.no_end_at_once(), self._awaited.told_by(self, *args, **kwargs):
            callbacks = kwargs.pop("callbacks", None)
            history = super().fit(*args, callbacks=_with_check(callbacks), **kwargs)
            if history.epoch and "loss" not in history.history:
                raise StopIteration
        return history

    def wire(self, x: Any) -> None:
        """Makes what feature losses train, such as projectors, before `fit` would on seeing `x`."""
        with self._awaited.told_by(self, x):
            pass

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `evaluate`; it runs no teacher unless `validate_with_teacher` is set."""
        with alone_with(self.teacher):
            follow_weights(self._untracked.running, self.teacher)
        waits = self.validate_with_teacher and self._awaited.waiting
        told = self._awaited.told_by(self, *args, **kwargs) if waits else contextlib.nullcontext()
        with self._phase.evaluation(), argument_checks.no_end_at_once(), told:
            results = super().evaluate(*args, **kwargs)
            if results in ([], {}):
                raise StopIteration
        return results

    def make_train_function(self, force: bool = False) -> Callable[..., Any]:
        """Keras' `make_train_function`; notes alpha, which the trace needs as a number."""
        self._alpha_at_start = float(ops.convert_to_numpy(self.alpha))
        self._check_teacher()
        if self.train_function is None:  # `train_on_batch` comes here for every batch
            follow_weights(self._untracked.running, self.teacher)
        return super().make_train_function(force)

    def make_test_function(self, force: bool = False) -> Callable[..., Any]:
        """Keras' `make_test_function`."""
        if self.validate_with_teacher:
            self._check_teacher()
        if self.test_function is None:
            follow_weights(self._untracked.running, self.teacher)
        return super().make_test_function(force)

    def _check_teacher(self):
        if self._untracked.bare is not None:
            self._untracked.bare.check()
            self._untracked.bare = None


def _with_check(callbacks):
    """Returns the callbacks with those behind them that look at the logs."""
    if isinstance(callbacks, keras.callbacks.CallbackList):  # complete, and its maker's
        return callbacks
    given = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    return [*(each for each in given if each is not None), ShareCheck(), FlawCheck()]

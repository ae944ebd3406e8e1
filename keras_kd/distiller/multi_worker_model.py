"""A model that several processes of one `tf.distribute` strategy train together."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from keras_kd.distiller.worker_batches import WorkerBatches, check_batches
from keras_kd.features.strategy_scope import processes_of
from keras_kd.lazy_modules import tf

_TAKEN = {
    "fit": (
        *("x", "epochs", "verbose", "callbacks", "validation_data", "shuffle", "initial_epoch"),
        *("steps_per_epoch", "validation_steps", "validation_freq"),
    ),
    "evaluate": ("x", "verbose", "steps", "callbacks", "return_dict"),
}


class MultiWorkerModel(keras.Model):
    """A model whose `fit` and `evaluate` run in all processes of a `MultiWorkerMirroredStrategy`.

    Keras' own fail there for every model (its issue 20585). These take a `tf.data.Dataset` that
    each process makes alike; a step is one `strategy.run` of the model's own. Losses, metrics and
    logs are those of the whole batch in every process, so that callbacks decide alike in all.
    """

    train_function: Any
    test_function: Any

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `fit`."""
        if not _is_of_workers(self):
            return super().fit(*args, **kwargs)
        told = _told(self, "fit", args, kwargs)
        epochs, held_out = told["epochs"], told["validation_data"]
        batches = WorkerBatches(self.distribute_strategy, told["x"], told["steps_per_epoch"])
        if held_out is not None:
            check_batches(self.distribute_strategy, held_out)
        with self.distribute_strategy.scope():
            self.optimizer.build(self.trainable_variables)
        callbacks = self._callbacks(told, batches, epochs=epochs, add_history=True)
        self.make_train_function()
        self.stop_training = False
        callbacks.on_train_begin()
        logs: dict[str, Any] = {}
        # Where keras.callbacks.BackupAndRestore goes on.
        first = getattr(self, "_initial_epoch", None) or told["initial_epoch"]
        for epoch in range(first, epochs):
            callbacks.on_epoch_begin(epoch)
            logs = self._pass(batches, "train", callbacks)
            if held_out is not None and _is_due(epoch, told["validation_freq"]):
                found = self.evaluate(
                    held_out,
                    steps=told["validation_steps"],
                    callbacks=callbacks,
                    return_dict=True,
                )
                logs |= {f"val_{name}": value for name, value in found.items()}
            callbacks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        with self.distribute_strategy.scope():
            self.optimizer.finalize_variable_values(self.trainable_variables)
        callbacks.on_train_end(logs)
        return self.history

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `evaluate`."""
        if not _is_of_workers(self):
            return super().evaluate(*args, **kwargs)
        told = _told(self, "evaluate", args, kwargs)
        batches = WorkerBatches(self.distribute_strategy, told["x"], told["steps"])
        callbacks = self._callbacks(told, batches, epochs=1)
        self.make_test_function()
        self.stop_evaluating = False
        callbacks.on_test_begin()
        logs = self._pass(batches, "test", callbacks)
        callbacks.on_test_end(logs)
        if told["return_dict"]:
            return logs
        compiled = (getattr(metric, "metrics", [metric]) for metric in self.metrics)
        names = [metric.name for metrics in compiled for metric in metrics]
        names = [*(name for name in names if name in logs), *sorted(set(logs) - set(names))]
        return logs[names[0]] if len(names) == 1 else [logs[name] for name in names]

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `train_on_batch`."""
        _refuse_one_batch(self, "train_on_batch", "fit")
        return super().train_on_batch(*args, **kwargs)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `test_on_batch`."""
        _refuse_one_batch(self, "test_on_batch", "evaluate")
        return super().test_on_batch(*args, **kwargs)

    def make_train_function(self, force: bool = False) -> Any:
        """Keras' `make_train_function`."""
        if not _is_of_workers(self):
            return super().make_train_function(force)
        if force or self.train_function is None:
            self.train_function = self._in_all_processes(self.train_step)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """Keras' `make_test_function`."""
        if not _is_of_workers(self):
            return super().make_test_function(force)
        if force or self.test_function is None:
            self.test_function = self._in_all_processes(self.test_step)
        return self.test_function

    def _in_all_processes(self, step):
        """Returns the function of a batch that runs a step and gives the logs of all replicas."""
        strategy, names = self.distribute_strategy, []

        def on_replica(data):
            logs = step(data)
            names[:] = logs
            return tf.stack([tf.cast(value, "float32") for value in logs.values()])

        def everywhere(data):
            # One mean of all values: each is a message between the processes.
            values = strategy.reduce("MEAN", strategy.run(on_replica, args=(data,)), axis=None)
            return dict(zip(names, tf.unstack(values), strict=True))

        if self.run_eagerly:
            return everywhere
        return tf.function(everywhere, reduce_retracing=True, autograph=False)

    def _pass(self, batches, phase, callbacks):
        """Goes through the batches once and returns the metrics over all of them."""
        step = self.train_function if phase == "train" else self.test_function
        begin = getattr(callbacks, f"on_{phase}_batch_begin")
        end = getattr(callbacks, f"on_{phase}_batch_end")
        self.reset_metrics()
        number = None
        for number, batch in enumerate(batches):
            begin(number)
            end(number, step(batch))
            if self.stop_training if phase == "train" else self.stop_evaluating:
                break
        if number is None:
            raise StopIteration  # as Keras does; the Distiller says what it means
        with self.distribute_strategy.scope():  # outside a replica a metric sums over all
            return {name: float(value) for name, value in self.get_metrics_result().items()}

    def _callbacks(self, told, batches, **settings):
        given, verbose = told["callbacks"], told["verbose"]
        if isinstance(given, keras.callbacks.CallbackList):  # of the `fit` that evaluates
            return given
        settings.update(verbose=verbose, steps=batches.steps, model=self)
        return keras.callbacks.CallbackList(given, add_progbar=verbose != 0, **settings)


def _is_of_workers(model):
    """Whether several processes share a model; on TPUs, which they share too, Keras' `fit` runs."""
    if processes_of(model) is None:
        return False
    return isinstance(model.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _told(model, door, args, kwargs):
    """Returns the arguments of `fit` or `evaluate` by name, or says which are not for processes."""
    bound = inspect.signature(getattr(keras.Model, door)).bind(model, *args, **kwargs)
    parameters = bound.signature.parameters
    others = [
        name
        for name, value in bound.arguments.items()
        if name not in ("self", "kwargs", *_TAKEN[door])
        and not _is_default(value, parameters[name].default)
    ]
    if others:
        raise ValueError(
            f"Over several processes `{door}` takes a batched tf.data.Dataset of x, (x, y) or "
            f"(x, y, sample_weight) and {', '.join(_TAKEN[door][1:])}. "
            f"Received: {', '.join(others)}"
        )
    bound.apply_defaults()
    if not model.compiled:
        raise ValueError(f"Compile the Distiller before `{door}`. Received: compiled=False")
    settings = {"steps_per_execution": (model.steps_per_execution, 1)}
    settings["jit_compile"] = (bool(model.jit_compile), False)
    for name, (value, expected) in settings.items():
        if value != expected:
            raise ValueError(
                f"Over several processes a Distiller is compiled with {name}={expected}. "
                f"Received: {name}={value}"
            )
    return bound.arguments


def _refuse_one_batch(model, door, other):
    if _is_of_workers(model):
        raise ValueError(
            f"Over several processes batches come from a tf.data.Dataset: use `{other}`. "
            f"Received: a call of `{door}`"
        )


def _is_default(value, default):
    return value is default or (isinstance(value, int | float | str) and value == default)


def _is_due(epoch, frequency):
    """Whether an epoch is validated: every n-th, or those of a list, counted from 1."""
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    return epoch + 1 in frequency

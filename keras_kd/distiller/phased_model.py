"""A model that knows which of its steps runs."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import keras

from keras_kd.features.recording import Recording
from keras_kd.typing import Tensor


class PhasedModel(keras.Model):
    """A model whose steps record what its watched layers give, and log what they compute.

    A step without labels logs no labels' loss and no compiled metrics; a step logs no term that
    `silent_terms` names.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._phase = _Phase()

    @property
    def trains_unlabelled(self) -> bool:
        """Whether the training step that was traced last had no labels' loss."""
        return self._phase.unlabelled["train"]

    def silent_terms(self, phase: str) -> list[str]:
        """Returns the names of terms that steps of a phase, `"train"` or `"test"`, leave out."""
        raise NotImplementedError

    def zero_grad(self, *args: Any, **kwargs: Any) -> None:
        """PyTorch's `zero_grad`, of all variables.

        Keras lists them by their paths, of which two losses' parts may have the same: what is not
        in the list would add up its gradients from step to step.
        """
        super().zero_grad(*args, **kwargs)
        for variable in self.trainable_variables:
            variable.value.grad = None

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' training step, with the student's tapped values recorded."""
        with self._phase.open("train"):
            return super().train_step(*args, **kwargs)

    def test_step(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' test step, with the student's tapped values recorded."""
        with self._phase.open("test"):
            return super().test_step(*args, **kwargs)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Tensor | None = None
    ) -> dict[str, Any]:
        """Keras' `compute_metrics`; without labels the compiled metrics rest."""
        if y is None:
            self._phase.is_unlabelled = True
            return self.get_metrics_result()
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_metrics_result(self) -> dict[str, Any]:
        """Returns the metrics of the phase that runs, without terms that it does not compute."""
        silent = set(self.silent_terms(self._phase.name))
        if self._phase.is_unlabelled:
            silent |= {"student_loss", "compile_metrics"}
        results: dict[str, Any] = {}
        for metric in (metric for metric in self.metrics if metric.name not in silent):
            result = metric.result()
            result = result if isinstance(result, dict) else {metric.name: result}
            # What the student brings comes last, and takes no name of the Distiller's.
            results = result | results
        return results


class _Phase:
    """The step that a thread is in, what it records of the student, and which steps lack labels.

    Attributes:
        evaluating: Whether `evaluate` runs.
        unlabelled: For `"train"` and `"test"` whether the step that was traced last had no labels'
            loss.
    """

    def __init__(self):
        self.evaluating = False
        self.unlabelled = {"train": False, "test": False}
        self._of_thread = threading.local()

    @contextlib.contextmanager
    def open(self, name):
        """A step, `"train"` or `"test"`, that records what the student's watched layers give."""
        with Recording() as recording:
            self._of_thread.recording, self._of_thread.name = recording, name
            try:
                yield
            finally:
                del self._of_thread.recording, self._of_thread.name

    @contextlib.contextmanager
    def evaluation(self):
        """The time that `evaluate` takes, also between its steps."""
        self.evaluating = True
        try:
            yield
        finally:
            self.evaluating = False

    @property
    def recording(self):
        """The open step's `Recording`; None outside one, as where Keras builds symbolically."""
        return getattr(self._of_thread, "recording", None)

    @property
    def name(self):
        """`"train"` or `"test"`."""
        return getattr(self._of_thread, "name", "test" if self.evaluating else "train")

    @property
    def is_unlabelled(self):
        """Whether this phase's step had no labels' loss."""
        return self.unlabelled[self.name]

    @is_unlabelled.setter
    def is_unlabelled(self, value):
        self.unlabelled[self.name] = value

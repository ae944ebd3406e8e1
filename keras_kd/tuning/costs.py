"""What a trained student costs, as an objective."""

from __future__ import annotations

import functools
from typing import Any

import keras

from keras_kd.evaluation.answers import first_examples
from keras_kd.evaluation.latency import measure_latency
from keras_kd.evaluation.model_cost import SECONDS
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.predict_on_batch import predict_on_batch
from keras_kd.features.preprocessing import input_names
from keras_kd.features.string_inputs import as_arrays
from keras_kd.tuning.first_batches import first_batches


def cost(name: str, student: keras.Model, x: Any, y: Any) -> float:
    """Returns one of `objectives.COSTS`.

    Args:
        name: `"latency"`, the median of a warm call for one example in milliseconds, as `compare`
            has it; or `"parameters"`, their number.
        student: A trained model.
        x, y: What it was fitted on.
    """
    if name == "parameters":
        return float(student.count_params())
    one = first_examples(_inputs(x, y, student), 1)
    run = functools.partial(predict_on_batch, student, one)
    return measure_latency(run, max_seconds=SECONDS).median


def _inputs(x, y, student):
    """Returns a batch of what the student takes, without what the data carry beside it."""
    is_data_set = hasattr(x, "element_spec") or isinstance(x, keras.utils.PyDataset)
    batch, _, _ = next(first_batches(x if is_data_set else as_arrays((x, y)), 1))
    names = input_names(student) or {}
    if isinstance(batch, dict) and "inputs" in batch and "inputs" not in names:
        batch = batch["inputs"]
    return own_inputs(batch, student)

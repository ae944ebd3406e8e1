"""What a model costs: parameters, operations, bytes, milliseconds."""

from __future__ import annotations

import functools
import math
from typing import Any

import keras
import ml_dtypes  # noqa: F401  # gives NumPy the names of the dtypes that it lacks
import numpy as np

from keras_kd.evaluation.answers import first_examples
from keras_kd.evaluation.flops import count_flops
from keras_kd.evaluation.latency import measure_latency
from keras_kd.evaluation.size_on_disk import size_on_disk
from keras_kd.features.predict_on_batch import predict_on_batch
from keras_kd.features.preprocessing import preprocessed

BATCH_SIZES = (1, 32)
SECONDS = 2.0


def no_costs() -> dict[str, Any]:
    """Returns all figures of cost by name, each unknown."""
    latencies = [
        f"{whose}latency_{figure}_batch{batch_size}"
        for whose in ("", "runtime_")
        for batch_size in BATCH_SIZES
        for figure in ("ms", "p95_ms")
    ]
    return dict.fromkeys(["parameters", "flops", "weights_bytes", "size_bytes", *latencies])


def measure_cost(model: keras.Model, inputs) -> dict[str, Any]:
    """Measures one model.

    Latency is that of a warm `model.predict_on_batch`, with the way of the inputs to the device
    and of the outputs back: 50 calls, fewer if they take longer than 2 seconds.

    Args:
        model: A built model.
        inputs: A batch of any size, an array or a structure of arrays.

    Returns:
        The figures by name; latencies in milliseconds. Those of a runtime are `None`.
    """
    costs = {
        **no_costs(),
        "parameters": model.count_params(),
        "flops": count_flops(model, preprocessed(model, first_examples(inputs, 1))),
        "weights_bytes": weights_bytes(model),
        "size_bytes": size_on_disk(model),
    }
    for batch_size in BATCH_SIZES:
        batch = first_examples(inputs, batch_size)
        latency = measure_latency(
            functools.partial(predict_on_batch, model, batch), max_seconds=SECONDS
        )
        costs[f"latency_ms_batch{batch_size}"] = latency.median
        costs[f"latency_p95_ms_batch{batch_size}"] = latency.p95
    return costs


def weights_bytes(model: keras.Model) -> int:
    """Returns the bytes of a model's weights in memory, each in its own dtype."""
    return sum(
        math.prod(weight.shape) * np.dtype(keras.backend.standardize_dtype(weight.dtype)).itemsize
        for weight in model.weights
    )

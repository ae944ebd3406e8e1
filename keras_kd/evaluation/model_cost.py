"""What a model costs: parameters, operations, bytes, milliseconds."""

import functools

import keras
import numpy as np

from keras_kd.evaluation.flops import count_flops
from keras_kd.evaluation.latency import measure_latency
from keras_kd.evaluation.size_on_disk import size_on_disk
from keras_kd.features.predict_on_batch import predict_on_batch
from keras_kd.features.preprocessing import preprocessed

_BATCH_SIZES = (1, 32)
_SECONDS = 2.0


def measure_cost(model: keras.Model, inputs) -> dict:
    """Measures one model.

    Latency is that of a warm `model.predict_on_batch`, with the way of the inputs to the device
    and of the outputs back: 50 calls, fewer if they take longer than 2 seconds.

    Args:
        model: A built model.
        inputs: A batch of any size, an array or a structure of arrays.

    Returns:
        The figures by name; latencies in milliseconds.
    """
    costs = {
        "parameters": model.count_params(),
        "flops": count_flops(model, preprocessed(model, _resized(inputs, 1))),
        "size_bytes": size_on_disk(model),
    }
    for batch_size in _BATCH_SIZES:
        batch = _resized(inputs, batch_size)
        latency = measure_latency(
            functools.partial(predict_on_batch, model, batch), max_seconds=_SECONDS
        )
        costs[f"latency_ms_batch{batch_size}"] = latency.median
        costs[f"latency_p95_ms_batch{batch_size}"] = latency.p95
    return costs


def _resized(inputs, size):
    return keras.tree.map_structure(
        lambda leaf: np.take(leaf, np.arange(size) % len(leaf), axis=0), inputs
    )

"""What an exported file costs: bytes, and milliseconds in its own runtime."""

import functools

from keras_kd.evaluation.answers import file_inputs, first_examples
from keras_kd.evaluation.latency import measure_latency
from keras_kd.evaluation.model_cost import BATCH_SIZES, SECONDS, no_costs
from keras_kd.runtimes import ExportedFile


def measure_file_cost(file: ExportedFile, inputs) -> dict:
    """Measures one exported file.

    Latency is that of a warm call of the runtime alone, on arrays of the file's own dtypes: 50
    calls, fewer if they take longer than 2 seconds. A file of a fixed batch size is called as often
    as so many examples need.

    Args:
        file: The loaded file.
        inputs: A batch of any size, as the data have it.

    Returns:
        The figures that `measure_cost` has, by the same names; `None` for what a file does not
        tell.
    """
    costs = {**no_costs(), "weights_bytes": file.weights_bytes, "size_bytes": file.size_bytes}
    for batch_size in BATCH_SIZES:
        parts = list(file.batches(file_inputs(first_examples(inputs, batch_size))))
        latency = measure_latency(functools.partial(_run_all, file, parts), max_seconds=SECONDS)
        costs[f"runtime_latency_ms_batch{batch_size}"] = latency.median
        costs[f"runtime_latency_p95_ms_batch{batch_size}"] = latency.p95
    return costs


def _run_all(file, parts):
    for part in parts:
        file.run(part)

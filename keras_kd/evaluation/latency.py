"""How long a warm call takes."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Latency:
    """Warm latency of one call, in milliseconds."""

    median: float
    p95: float


def measure_latency(run: Callable[[], object], *, warmup: int = 5, repeats: int = 50) -> Latency:
    """Times `run` after a warm-up.

    Args:
        run: Makes one call and waits for its result.
        warmup: Calls that are not counted, first.
        repeats: Calls that are counted.

    Returns:
        Median and 95th percentile of the counted calls, in milliseconds.
    """
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(1000.0 * (time.perf_counter() - start))
    return Latency(float(np.median(times)), float(np.percentile(times, 95)))

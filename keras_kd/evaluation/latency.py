"""How long a warm call takes."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Latency:
    """Warm latency of one call.

    Attributes:
        median: Median over the counted calls, in milliseconds.
        p95: 95th percentile over the counted calls, in milliseconds.

    Example:

    >>> from keras_kd.evaluation import Latency
    >>> Latency(median=0.9, p95=1.4).median
    0.9
    """

    median: float
    p95: float


def measure_latency(
    run: Callable[[], object],
    *,
    warmup: int = 5,
    repeats: int = 50,
    max_seconds: float | None = None,
) -> Latency:
    """Times `run` after a warm-up.

    Args:
        run: Makes one call and waits for its result.
        warmup: Calls that are not counted, first.
        repeats: Calls that are counted.
        max_seconds: Once the counted calls have taken this long together, no other is started;
            the first is always counted. `None`: all `repeats` are made.

    Returns:
        Median and 95th percentile of the counted calls, in milliseconds.

    Raises:
        ValueError: If `repeats` is below 1 or `warmup` is negative.

    Example:
        >>> from keras_kd.evaluation.latency import measure_latency
        >>> latency = measure_latency(lambda: sum(range(100)), repeats=10)
        >>> 0.0 <= latency.median <= latency.p95
        True
    """
    if repeats < 1 or warmup < 0:
        raise ValueError(
            "At least one counted call and no negative warm-up were expected. "
            f"Received: repeats={repeats}, warmup={warmup}"
        )
    for _ in range(warmup):
        run()
    times: list[float] = []
    while len(times) < repeats and (max_seconds is None or sum(times) < max_seconds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return Latency(1000.0 * float(np.median(times)), 1000.0 * float(np.percentile(times, 95)))

"""How long many workers label a data set, with slow machines and failures that are drawn."""

import dataclasses
import heapq

import numpy as np


@dataclasses.dataclass(frozen=True)
class Fleet:
    """Workers, and what is assumed of them.

    Attributes:
        workers: How many label at once.
        rate: Examples a second that one labels.
        start: Seconds until a process labels its first example.
        failures: How often a worker dies in an hour.
        slow: The share of workers that are `slowness` times as slow.
        slowness: See `slow`.
    """

    workers: int
    rate: float
    start: float
    failures: float = 0.0
    slow: float = 0.0
    slowness: float = 4.0


def seconds(fleet, examples, parts, *, shard=2048, seed=0):
    """Returns how many seconds pass until all parts are there.

    Whoever is free takes the next part, in a process of its own. A worker that dies loses half a
    shard and begins again where it was.

    Args:
        fleet: The `Fleet`.
        examples: How many examples there are.
        parts: How many parts they are cut into.
        shard: Examples in a file.
        seed: Of what is drawn.
    """
    draw = np.random.default_rng(seed)
    is_slow = draw.random(fleet.workers) < fleet.slow
    rates = np.where(is_slow, fleet.rate / fleet.slowness, fleet.rate)
    free = [(0.0, worker) for worker in range(fleet.workers)]
    size = examples / parts
    for _ in range(parts):
        now, worker = heapq.heappop(free)
        takes = size / rates[worker]
        deaths = draw.poisson(takes * fleet.failures / 3600)
        takes += fleet.start + deaths * (fleet.start + shard / 2 / rates[worker])
        heapq.heappush(free, (now + takes, worker))
    return max(now for now, _ in free)


def efficiency(fleet, examples, parts, **kwargs):
    """Returns the share of the time in which as many workers without fault would be done."""
    return examples / (fleet.rate * fleet.workers) / seconds(fleet, examples, parts, **kwargs)

"""Whether a job can travel to other processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_kd.scale.label_job import LabelJob

_PARTS = ("teacher", "dataset", "prepare", "augment")


def check_travels(job: Any, dumps: Callable[[Any], bytes]) -> LabelJob:
    """Returns the job, or says what of it cannot be sent to a worker.

    Args:
        job: The `LabelJob`.
        dumps: What the engine pickles with.

    Raises:
        TypeError: If `job` is no job, or a function of it closes over what cannot travel.
    """
    if not isinstance(job, LabelJob):
        raise TypeError(f"`job` must be a keras_kd.scale.LabelJob. Received: job={job!r}")
    for name in _PARTS:
        part = getattr(job, name)
        try:
            dumps(part)
        except Exception as error:  # whatever an object raises that is asked for its state
            raise TypeError(
                f"`{name}` must travel to the workers: a function that opens what it needs there, "
                "files, data sets and models, and closes over none of them. Received: "
                f"{name}={part!r}, which cannot be pickled ({type(error).__name__}: {error})"
            ) from error
    return job

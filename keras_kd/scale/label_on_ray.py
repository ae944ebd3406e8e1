"""The door to Ray."""

from __future__ import annotations

from typing import Any

import keras

from keras_kd.cache import LabelledPart
from keras_kd.checks import check_whole_number
from keras_kd.scale.engine_packages import ray_package
from keras_kd.scale.label_job import LabelJob
from keras_kd.scale.travels import check_travels

_TRIES = 3  # of a part whose worker died


def label_on_ray(
    job: LabelJob, *, actors: int, options: dict[str, Any] | None = None
) -> list[LabelledPart]:
    """Labels all missing parts of a job on Ray, by actors that hold the teacher.

    A worker that dies is started anew, and its part tried again. A part that fails stops none of
    the others; what is complete is not asked again when this is called again.

    Args:
        job: A `LabelJob`; more parts than actors even out what is slow.
        actors: How many processes label at once.
        options: What each of them needs, as `ray.remote` takes it: `{"num_gpus": 1}` for one. Ray
            is started on this machine where no cluster was joined by `ray.init`.

    Returns:
        A `cache.LabelledPart` for each part that was missing.

    Raises:
        ImportError: If Ray is not installed (extra `ray`).
        TypeError, ValueError: If an argument is wrong, the job cannot travel, or a worker is given
            another teacher or other data than the one that came first.
        RuntimeError: If parts failed, which it names, with what the first of them raised.

    Example:

    ```python
    job = keras_kd.scale.LabelJob("says", "teacher.keras", "mnist", split="train", count=64)
    keras_kd.scale.label_on_ray(job, actors=8, options={"num_gpus": 1})
    train = job.read()
    ```
    """
    ray = ray_package()
    check_travels(job, ray.cloudpickle.dumps)
    actors = check_whole_number("actors", actors, least=1)
    if not ray.is_initialized():
        ray.init()
    missing = job.missing()
    lasting = {"max_restarts": -1, "max_task_retries": _TRIES, **(options or {})}
    remote = ray.remote(_Worker).options(**lasting)
    workers = [remote.remote(job) for _ in range(min(actors, len(missing)))]
    try:
        return _run(ray, workers, missing)
    finally:
        for worker in workers:
            ray.kill(worker)


class _Worker:
    """A process that holds the teacher."""

    def __init__(self, job):
        keras.config.disable_interactive_logging()  # bars of many would mix
        self._job = job

    def label(self, index):
        return self._job(index)


def _run(ray, workers, missing):
    """Gives each worker that is free the next part; returns what was done."""
    waiting, busy, done, failed = list(reversed(missing)), {}, [], {}
    free = list(workers)
    while waiting or busy:
        while waiting and free:
            worker, index = free.pop(), waiting.pop()
            busy[worker.label.remote(index)] = worker, index
        (ready,), _ = ray.wait(list(busy), num_returns=1)
        worker, index = busy.pop(ready)
        free.append(worker)
        try:
            done.append(ray.get(ready))
        except ray.exceptions.RayError as error:
            if isinstance(error, TypeError | ValueError):  # what was given is wrong, for all parts
                raise
            failed[index] = error
    if failed:
        first = min(failed)
        raise RuntimeError(
            f"Parts failed, and can be tried again by the same call. Received: {sorted(failed)}, "
            f"the first of which raised: {failed[first]}"
        ) from failed[first]
    return done

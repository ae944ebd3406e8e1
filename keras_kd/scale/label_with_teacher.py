"""The door to Apache Beam."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_kd.scale.engine_packages import beam_package
from keras_kd.scale.travels import check_travels

if TYPE_CHECKING:
    import apache_beam as beam

    from keras_kd.scale.label_job import LabelJob


def LabelWithTeacher(job: LabelJob) -> beam.PTransform:  # noqa: N802  (as Beam names transforms)
    """Returns a Beam transform that labels all parts of a job; it stands where a pipeline begins.

    A part is one element: what fails is tried again by the runner, and what is complete is not
    asked again. The pipeline's options choose the runner. Counters in the namespace `keras_kd`:
    `examples` (of finished parts), `answers` and `bytes` (written), and the distribution
    `answers_per_second` of the parts.

    Args:
        job: A `LabelJob`; more parts than workers even out what is slow.

    Returns:
        An `apache_beam.PTransform`, which gives a `cache.LabelledPart` for each part.

    Raises:
        ImportError: If Apache Beam is not installed (extra `beam`).
        TypeError: If `job` is none, or cannot travel.

    Example:

    ```python
    import apache_beam as beam

    job = keras_kd.scale.LabelJob("says", "teacher.keras", "mnist", split="train", count=64)
    options = ["--runner=DirectRunner", "--direct_num_workers=2"]
    options += ["--direct_running_mode=multi_processing"]
    with beam.Pipeline(argv=options) as pipeline:
        pipeline | keras_kd.scale.LabelWithTeacher(job) | beam.Map(print)
    train = job.read()
    ```
    """
    beam = beam_package()
    from apache_beam.internal import pickler

    return beam.ptransform_fn(_label_all)(check_travels(job, pickler.dumps))


def _label_all(start, job):
    beam = beam_package()
    numbers = start | "Parts" >> beam.Create(range(job.count))
    # A runner would otherwise fuse the parts with what made them, into one worker.
    return numbers | "Spread" >> beam.Reshuffle() | "Label" >> beam.Map(_label, job)


def _label(index, job):
    metrics = beam_package().metrics.Metrics
    done = job(index)
    metrics.counter("keras_kd", "examples").inc(done.examples)
    metrics.counter("keras_kd", "answers").inc(done.labelled)
    metrics.counter("keras_kd", "bytes").inc(done.bytes)
    if done.labelled:
        rate = metrics.distribution("keras_kd", "answers_per_second")
        rate.update(round(done.examples_per_second))
    return done

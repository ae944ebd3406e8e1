"""What a teacher says, written once and replayed for ever."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_kd.cache.argument_checks import (
    check_layers,
    check_part,
    check_path,
    check_runs_alone,
    check_settings,
    check_teacher,
)
from keras_kd.cache.array_reader import read_arrays
from keras_kd.cache.estimate import Estimate, measure
from keras_kd.cache.filling import Filling
from keras_kd.cache.identity import compare, compare_answers, identity, new_header
from keras_kd.cache.labelled_part import LabelledPart
from keras_kd.cache.labeller import Labeller
from keras_kd.cache.missing import missing_parts, what_is_missing
from keras_kd.cache.parts import Parts, agreement, check_agreement, shards_of
from keras_kd.cache.replay import replay
from keras_kd.cache.shards import Shards, components_of
from keras_kd.cache.source_data import Source
from keras_kd.checks import check_number, check_whole_number
from keras_kd.features.preprocessing import has_preprocessor
from keras_kd.features.string_inputs import check_strings
from keras_kd.features.tap import Tap
from keras_kd.lazy_modules import tf

_CHECKS = ("all", "start")


class TeacherCache:
    """Runs a teacher once over a data set and keeps its answers on disk.

    `label` returns the data set with the answers in it, and `Distiller(student)` with no teacher
    trains on that. Only answers are stored, never inputs: they belong to positions in the data set,
    which must have a fixed order. The cache knows its data, its teacher, the augmentation and its
    settings again, and refuses others. What is interrupted continues where it was.

    ```
    x -> {"inputs": x, "teacher_outputs": answers}
         with `layers`: "teacher_features" {name: value} and "index", the example's position, too
    ```

    Answers are float32 tensors without the batch, in the structure of the teacher's outputs (one
    output alone is one tensor); what is known to be probabilities is `{"probabilities": p}` (kept
    as logits, which lose less in half precision), and with `top_k`
    `{"log_probabilities": (k,), "indices": (k,), "log_rest": ()}`: the k largest, and the mass that
    remains, which losses spread evenly over the other classes. Where the teacher masks positions,
    `"teacher_masks"` come too, and what it masks counts for nothing.

    Args:
        path: A folder for this data set's answers, made if it is not there; or an address of one,
            such as `gs://bucket/folder`, by fsspec and its package for that kind of store. Several
            may write there at once, without locks, and what is read is copied to this machine.
        teacher: A built `keras.Model` (a SavedModel in a `keras.layers.TFSMLayer` too), a
            `teachers.TFLiteTeacher`, or a function from a batch of NumPy arrays to arrays, or to
            `{"outputs": outputs, name: value}` with what `layers` name. A function is known again
            by its answers to the first examples; one with a method `fingerprint() -> str` by that.
            None (the default) reads a complete cache without a teacher in memory.
        dtype: `"float16"` (the default), `"bfloat16"` or `"float32"`, what answers are stored as.
        top_k: How many of the largest probabilities to store, with what mass remains. None (the
            default) stores all outputs.
        layers: Names of layers, or `features.Tap`s, whose values feature losses will compare.
        from_logits: Whether the teacher returns logits or other real values (True) or probabilities
            (False). None (the default) finds out from its last layer or its answers.

    Raises:
        TypeError, ValueError: If an argument is wrong or the teacher has no such layer.

    Example:

    >>> import keras, keras_kd, numpy as np, tempfile
    >>> keras.config.disable_interactive_logging()  # no progress bar
    >>> teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> cache = keras_kd.TeacherCache(tempfile.mkdtemp(), teacher)
    >>> train = cache.label((np.eye(4, dtype="float32"), np.array([0, 1, 2, 0])))
    >>> x, y = next(iter(train.shuffle(4).batch(2)))
    >>> sorted(x), x["teacher_outputs"].shape, cache.bytes_per_example
    (['inputs', 'teacher_outputs'], TensorShape([2, 3]), 6)

    Reference: Beyer et al., "Knowledge Distillation: A Good Teacher Is Patient and Consistent",
    CVPR 2022 (teacher and student see the same augmented pixels); Shen and Xing, "A Fast Knowledge
    Distillation Framework for Visual Recognition", ECCV 2022 (stored soft labels of views, top-k).
    """

    def __init__(
        self,
        path: str | os.PathLike,
        teacher: Any = None,
        *,
        dtype: str = "float16",
        top_k: int | None = None,
        layers: Sequence[str | Tap] = (),
        from_logits: bool | None = None,
    ) -> None:
        self.path = check_path(path)
        self.teacher = check_teacher(teacher)
        self.layers = check_layers(layers, teacher)
        self.settings = check_settings(dtype, top_k, self.layers, from_logits)
        self._shards = Shards(self.path)
        self._new_labeller = functools.partial(
            Labeller, teacher, dtype=dtype, top_k=top_k, layers=self.layers, from_logits=from_logits
        )
        self._labeller = None if teacher is None else self._new_labeller()

    @property
    def bytes_per_example(self) -> int | None:
        """Bytes that one view of one example takes, or None before anything is labelled."""
        header = self._shards.header
        if header is None:
            return None
        return sum(component.size for component in components_of(header))

    @property
    def complete(self) -> bool:
        """Whether every example of the data set that was begun is labelled."""
        self._shards.look_anew()
        header = self._shards.header
        return header is not None and not self._is_missing(header)

    def missing_parts(self, count: int) -> list[int]:
        """Returns which of `count` parts `label_part` has not finished, all before it has begun."""
        count = check_whole_number("count", count, least=1)
        self._shards.look_anew()
        return missing_parts(self._shards, self._shards.header, count)

    def estimate(
        self,
        dataset: Any,
        *,
        augment: Callable[..., Any] | None = None,
        views: int = 1,
        batch_size: int = 256,
        most_seconds: float = 5.0,
    ) -> Estimate:
        """Says what `label` would take: bytes on disk and seconds on this machine.

        The teacher labels the first batches, for `most_seconds` at most, and nothing is written.
        What was labelled before is not subtracted.

        Args:
            dataset, augment, views, batch_size: As in `label`.
            most_seconds: After so many seconds no other batch is begun; 5 by default.

        Returns:
            An `Estimate`: `bytes`, `seconds`, `bytes_per_example`, `examples_per_second`.

        Raises:
            TypeError, ValueError: If an argument is wrong, there is no teacher or no example, or
                the teacher's answers cannot be stored.

        Example:

        >>> import keras, keras_kd, numpy as np, tempfile
        >>> teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10)])
        >>> cache = keras_kd.TeacherCache(tempfile.mkdtemp(), teacher)
        >>> cache.estimate(np.zeros((1000, 4)), augment=lambda x, seed: x, views=3).bytes
        60000
        """
        self._need_teacher()
        most = check_number("most_seconds", most_seconds, least=0.0)
        source = self._source(dataset, augment, views, batch_size)
        source.digests()  # data without an example, or that do not hold still, raise here
        return measure(source, self._new_labeller(), batch_size, most)

    def answers(self, view: int = 0) -> dict[str, Any]:
        """Returns the answers to all examples as NumPy arrays, for machines without TensorFlow.

        Beside the inputs, in the order in which they were labelled, they are what a Distiller
        without a teacher trains on: `x = {"inputs": x, **cache.answers()}`. The cache must be
        complete; nothing compares the inputs with those that were labelled.

        Args:
            view: Which view, from 0.

        Returns:
            A dict with `"teacher_outputs"`, and with `layers` `"teacher_features"` and `"index"`.

        Raises:
            TypeError, ValueError: If the cache is not complete or has no such view.
            OSError: If a file is damaged.
        """
        view = check_whole_number("view", view, least=0)
        self._shards.look_anew()
        header = self._shards.header
        if header is None or self._is_missing(header):
            raise ValueError(
                "Answers are missing: label all data with `label` or `label_shard` first. "
                f"Received: path='{self.path}'{what_is_missing(self._shards, header)}"
            )
        views = header["settings"]["views"]
        if view >= views:
            raise ValueError(f"`view` must be below {views}, the views. Received: view={view}")
        self._shards.check(view, header["shard_examples"])
        return read_arrays(self._shards, view)

    def label(
        self,
        dataset: Any,
        *,
        augment: Callable[..., Any] | None = None,
        views: int = 1,
        batch_size: int = 256,
        check: str = "all",
        wait: float | None = 86_400.0,
    ) -> tf.data.Dataset:
        """Labels what is not labelled yet and returns the data with the teacher's answers.

        Args:
            dataset: An unbatched `tf.data.Dataset` of `x`, `(x, y)` or `(x, y, sample_weight)` in a
                fixed order, or arrays so. Shuffle what this method returns.
            augment: `f(x, seed) -> x` of one example, with a seed `(2,)` of int32 for stateless
                operations, which depends on the example's position and the view alone. Teacher and
                student see the same pixels.
            views: How many times each example is augmented. Each pass over the result draws
                another view, in a shuffled order, all of them before one comes again.
            batch_size: Examples that the teacher labels at a time.
            check: `"all"` (the default) reads all data to compare them, and all their views, with
                what was labelled; `"start"` their length, where it is known, the first 2,048
                examples, and with `augment` some views spread over the data.
            wait: How many seconds to wait for another process that labels into the same folder, a
                day by default; None for ever.

        Returns:
            An unbatched `tf.data.Dataset`: `shuffle`, `map`, `batch`, `take`, `repeat` work on it.
            Answers of up to 32 MiB it holds in memory; where they are more it reads the files in
            each pass.

        Raises:
            TypeError, ValueError: If the data, the teacher, the augmentation or the settings are
                not those of the cache, or the teacher's answers cannot be stored.
            OSError: If a file cannot be written, or is damaged.
            TimeoutError: If another process has not finished after `wait` seconds.
        """
        if check not in _CHECKS:
            raise ValueError(f"`check` must be one of {_CHECKS}. Received: check={check!r}")
        source = self._source(dataset, augment, views, batch_size)
        header = self._begin(source, batch_size, wait)
        filling = Filling(self._shards, source, self._labeller, header, batch_size)
        if self._is_missing(header):
            self._need_teacher()
            with self._shards.written("label", wait):
                passed = filling.label()  # not if the process that was waited for did all
            self._report()
        else:
            passed = False
        if not passed:
            filling.check(whole=check == "all")
        for view in range(header["settings"]["views"]):
            self._shards.check(view, header["shard_examples"])
        filling.confirm()
        return replay(self._shards, source, header, components_of(header))

    def label_shard(
        self,
        dataset: Any,
        index: int,
        count: int,
        *,
        augment: Callable[..., Any] | None = None,
        views: int = 1,
        batch_size: int = 256,
        wait: float | None = 86_400.0,
    ) -> None:
        """Labels one of `count` parts of the data; the cache is complete when all are there.

        Each worker, on any machine that shares the folder, is given the whole data set and its own
        index. `label` then finds nothing left to do.

        Args:
            dataset, augment, views, batch_size, wait: As in `label`, the same for all workers.
            index: Which part, from 0.
            count: How many parts.

        Raises:
            TypeError, ValueError, OSError, TimeoutError: As in `label`.
        """
        index, count = check_part(index, count)
        self._need_teacher()
        source = self._source(dataset, augment, views, batch_size)
        header = self._begin(source, batch_size, wait)
        with self._shards.written(f"{index}-of-{count}", wait):
            Filling(self._shards, source, self._labeller, header, batch_size).label(index, count)

    def label_part(
        self,
        read: Callable[[int, int], Any],
        index: int,
        count: int,
        *,
        examples: int,
        augment: Callable[..., Any] | None = None,
        views: int = 1,
        batch_size: int = 256,
        wait: float | None = 86_400.0,
    ) -> LabelledPart:
        """Labels one of `count` parts of data that can be read from any position on.

        As `label_shard`, but a worker reads its own part alone, neighbouring examples, and compares
        no other; and two workers may take the same part at once, of whom the slower loses its work.
        `scale.LabelJob` is this with a teacher from a file and data by their name.

        Args:
            read: `f(start, stop)` that returns the unbatched examples from position `start` to
                before `stop`, a `tf.data.Dataset` or arrays.
            index: Which part, from 0.
            count: How many parts, the same for all workers.
            examples: How many examples there are in all.
            augment, views, batch_size, wait: As in `label`, the same for all workers.

        Returns:
            A `LabelledPart`, which says what was done.

        Raises:
            TypeError, ValueError, OSError, TimeoutError: As in `label`; before the first example
                too where other workers have another count, number of examples or version.
        """
        began, (index, count) = time.perf_counter(), check_part(index, count)
        check_whole_number("examples", examples, least=1)
        self._need_teacher()
        how = {"augment": augment, "views": views}
        source = functools.partial(self._source, **how, batch_size=batch_size)
        parts = Parts(read, examples, source=source, **how)
        header = self._begin(parts.head(batch_size), batch_size, wait)
        self._agree(agreement(count, examples), wait)
        with self._shards.written():
            filling = Filling(self._shards, parts, self._labeller, header, batch_size)
            mine = shards_of(index, count, examples, filling.size)
            filling.label_range(mine.start, mine.stop)
        own = min(mine.stop * filling.size, examples) - min(mine.start * filling.size, examples)
        done = filling.sealed_examples, filling.sealed_bytes
        return LabelledPart(index, count, own, *done, time.perf_counter() - began)

    def _begin(self, source, batch_size, wait):
        """Returns the header, which is written if the cache is new."""
        if wait is not None:
            check_number("wait", wait, least=0.0)
        check_runs_alone(self.teacher)  # a strategy's scope may have been entered since
        self._shards.look_anew()
        wanted = identity(self.settings, self.teacher, source)
        if self._shards.header is None:
            self._need_teacher()
            with self._shards.written("header", wait):
                if self._shards.header is None:
                    self._shards.begin(new_header(wanted, self._labeller, source, batch_size))
        header = self._shards.header
        compare(header, wanted, self.path)
        self._shards.belong_to(header)
        if self._labeller is not None:
            self._labeller.recall(header)
            compare_answers(self._shards, header, self._labeller, source)
        return header

    def _agree(self, wanted, wait):
        """Joins the workers that label in parts; the first of them says what they agree about."""
        if self._shards.parts is None:
            with self._shards.written("header", wait):
                if self._shards.parts is None:
                    self._shards.agree(wanted)
                if self._shards.examples is None:
                    self._shards.end(wanted["examples"])
        check_agreement(self._shards.parts, wanted, self.path)

    def _source(self, dataset, augment, views, batch_size, first=0):
        """Returns the data that the teacher is to see, checked."""
        check_whole_number("batch_size", batch_size, least=1)
        takes = None if self._labeller is None else self._labeller.takes
        source = Source(dataset, augment, views, takes, first)
        if augment is None and not has_preprocessor(self.teacher):
            check_strings(source.inputs.element_spec, self.teacher, "teacher")
        return source

    def _is_missing(self, header):
        return self._shards.is_missing(header["settings"]["views"], header["shard_examples"])

    def _need_teacher(self):
        if self.teacher is None:
            raise ValueError(
                "Answers are missing, and there is no teacher to give them: pass the teacher, or "
                f"the path of a complete cache. Received: teacher=None, path='{self.path}'"
                f"{what_is_missing(self._shards, self._shards.header)}"
            )

    def _report(self):
        if keras.config.is_interactive_logging_enabled():
            print(
                f"{self._shards.examples:,} examples labelled, {self.bytes_per_example:,} bytes "
                f"each, in '{self.path}'"
            )

"""What any engine runs, once for each part of a data set, on whatever machine."""

from __future__ import annotations

import functools
import os
import socket
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from keras_kd.cache import LabelledPart, TeacherCache
from keras_kd.cache.argument_checks import check_part
from keras_kd.checks import check_whole_number
from keras_kd.features.tap import Tap
from keras_kd.lazy_modules import tf
from keras_kd.scale.load_teacher import check_teacher_source, load_teacher
from keras_kd.scale.part_data import check_data_source, open_data
from keras_kd.version import __version__

# A process holds one teacher, that of the job it works on: a second would take as much memory.
_HELD: dict[str, TeacherCache] = {}
_ALONE = threading.RLock()


class LabelJob:
    """Labels a data set in `count` parts, each a call `job(index)`, on as many machines.

    It travels: what it holds is a path, a teacher's file or a function that makes the teacher, and
    a data set's name or a function that makes it. Each process loads the teacher once and reads its
    own parts alone. A part may be labelled twice, by two at once too, and is as if once: a shard
    counts when it is whole, and what is complete is not asked again. When no part is missing the
    folder is what `TeacherCache.label` would have made of the same data, and `read` gives them with
    the answers.

    Args:
        path: The folder of the answers, the same for all machines.
        teacher: The path of a `.keras`, `.tflite` or `.onnx` file or of a SavedModel; or a function
            `f()` that returns a teacher, as a `TeacherCache` takes it.
        dataset: The name of a set of TensorFlow Datasets; or a function `f()` that returns all
            examples, unbatched and in a fixed order, or, which reads less, `f(start, stop)` that
            returns those from position `start` to before `stop`, with no default for either.
        count: How many parts; several for each machine, so that a fast one does more of them.
        split: Of a TFDS set, `"train"` for one, or `"train[:10%]"`.
        data_dir: TFDS' folder; None is its default.
        examples: How many examples a function's data hold, where they do not tell.
        prepare: `f(*example)` that makes `x`, `(x, y)` or `(x, y, sample_weight)` of each example.
        augment, views, batch_size: As `TeacherCache.label` takes them.
        dtype, top_k, layers, from_logits: As `TeacherCache` takes them.

    Call arguments: `index`, which part, from 0. Returns a `cache.LabelledPart`.

    Raises:
        TypeError, ValueError: If an argument is wrong. In a worker, before its first example, also
            if the teacher, the data, the settings, `count` or the version of this library are not
            those of the worker that came first.
        FileNotFoundError, ImportError: In a worker, if the teacher cannot be loaded there.
        OSError: In a worker, if a file cannot be written. What is complete stays.

    Example:

    >>> import keras, keras_kd, numpy as np, tempfile
    >>> keras.config.disable_interactive_logging()  # no progress bar
    >>> folder = tempfile.mkdtemp()
    >>> teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> teacher.save(folder + "/teacher.keras")
    >>> def data():
    ...     return np.eye(4, dtype="float32"), np.array([0, 1, 2, 0])
    >>> job = keras_kd.scale.LabelJob(folder + "/says", folder + "/teacher.keras", data, count=2)
    >>> sum(job(index).labelled for index in job.missing())
    4
    >>> x, y = next(iter(job.read().batch(2)))
    >>> sorted(x), x["teacher_outputs"].shape
    (['inputs', 'teacher_outputs'], TensorShape([2, 3]))
    """

    def __init__(
        self,
        path: str | os.PathLike,
        teacher: str | os.PathLike | Callable[[], Any],
        dataset: str | Callable[..., Any],
        *,
        count: int,
        split: str | None = None,
        data_dir: str | os.PathLike | None = None,
        examples: int | None = None,
        prepare: Callable[..., Any] | None = None,
        augment: Callable[..., Any] | None = None,
        views: int = 1,
        batch_size: int = 256,
        dtype: str = "float16",
        top_k: int | None = None,
        layers: Sequence[str | Tap] = (),
        from_logits: bool | None = None,
    ) -> None:
        self.count = check_whole_number("count", count, least=1)
        self.teacher = check_teacher_source(teacher)
        check_data_source(dataset, split, data_dir, examples, prepare)
        self.dataset, self.augment, self.prepare = dataset, augment, prepare
        self._data = (split, data_dir, examples, prepare)
        self._how: dict[str, Any] = {"augment": augment, "views": views, "batch_size": batch_size}
        self._settings: dict[str, Any] = {
            "dtype": dtype,
            "top_k": top_k,
            "layers": layers,
            "from_logits": from_logits,
        }
        self.path = TeacherCache(path, None, **self._settings).path
        self._key = uuid.uuid4().hex  # of all copies of this job that travel

    def __call__(self, index: int) -> LabelledPart:
        """Labels what is missing of one part."""
        index, _ = check_part(index, self.count)
        try:
            with _ALONE:  # a teacher answers one thread at a time
                data = self._open()
                label = functools.partial(self._with_teacher().label_part, data.read)
                return label(index, self.count, examples=data.examples, **self._how)
        except Exception as error:
            error.add_note(
                f"It was raised for part {index} of 0 to {self.count - 1}, by process "
                f"{os.getpid()} on {socket.gethostname()}, which runs keras_kd {__version__}."
            )
            raise

    def missing(self) -> list[int]:
        """Returns the numbers of the parts that are not finished."""
        return self._without_teacher().missing_parts(self.count)

    def read(self, *, check: str = "start") -> tf.data.Dataset:
        """Returns the data with the teacher's answers, when no part is missing.

        Args:
            check: `"start"` (the default) compares the first examples, and with `augment` some
                views, with what was labelled, as `TeacherCache.label` does; `"all"` reads all.

        Returns:
            An unbatched `tf.data.Dataset`, as `TeacherCache.label` returns it.

        Raises:
            TypeError, ValueError: If parts are missing, or the data are others.
            OSError: If a file is damaged.
        """
        missing = self.missing()
        if missing:
            raise ValueError(
                f"Parts are missing: call `job(index)` for each. Received: {missing} of 0 to "
                f"{self.count - 1}, in '{self.path}'"
            )
        _HELD.pop(self._key, None)  # who trains from here on needs its memory
        data, cache = self._open(), self._without_teacher()
        return cache.label(data.read(0, data.examples), check=check, **self._how)

    def _open(self):
        return open_data(self.dataset, *self._data)

    def _without_teacher(self):
        return TeacherCache(self.path, None, **self._settings)

    def _with_teacher(self):
        if self._key not in _HELD:
            _HELD.clear()
            _HELD[self._key] = TeacherCache(self.path, load_teacher(self.teacher), **self._settings)
        return _HELD[self._key]

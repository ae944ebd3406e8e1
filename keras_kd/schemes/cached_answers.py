"""Teachers that are asked once, in place of every step of a sequence."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import keras

from keras_kd.addresses import path_or_address
from keras_kd.cache import TeacherCache
from keras_kd.cache.source_data import Source
from keras_kd.distiller.followed_model import follows
from keras_kd.features.layer_tree import nearest
from keras_kd.features.model_digest import model_digest
from keras_kd.features.model_spec import input_spec
from keras_kd.features.string_inputs import as_arrays
from keras_kd.features.tap import Tap

Cache: TypeAlias = str | os.PathLike | Mapping[str, Any] | None
Data: TypeAlias = Callable[[], dict[str, Any]]

_OF_CACHE = set(inspect.signature(TeacherCache).parameters) - {"path", "teacher", "layers"}
_OF_LABEL = {"augment", "views", "wait"}
_MOST_SHUFFLED = 8_192  # examples that wait to be drawn from: a `tf.data` shuffle is in memory
_MOST_HELD = 2**30  # bytes of answers that stand beside arrays, which Keras shuffles whole


class CachedAnswers:
    """Asks each teacher of a sequence once, through a `TeacherCache` of its own.

    Args:
        given: What a scheme takes as `cache`: a folder, or a dict of its `"path"` and of settings
            of `TeacherCache` and its `label`. Each teacher has a folder in it, of its name and
            what its weights are known by.

    Raises:
        TypeError, ValueError: If it is neither.
    """

    def __init__(self, given: str | os.PathLike | Mapping[str, Any]):
        settings = dict(given) if isinstance(given, Mapping) else {"path": given}
        known = sorted({"path"} | _OF_CACHE | _OF_LABEL)
        for name in settings:
            if name not in known:
                raise ValueError(
                    f"`cache` holds what is no setting of a TeacherCache. Received: {name!r}."
                    f"{nearest(name, known)} Available: {known}"
                )
        if "path" not in settings:
            raise ValueError(f"`cache` needs the 'path' of a folder. Received: cache={given!r}")
        self.folder = path_or_address("cache", settings.pop("path"))
        self.settings = settings

    def of(self, name: str, teacher: Any, losses: Iterable[Any], fit: Mapping[str, Any]) -> Data:
        """Returns a function that asks a teacher and returns what `fit` takes for its data.

        Args:
            name: The teacher's, in the name of its folder.
            teacher: A model, which need not be trained yet; or a function that returns it.
            losses: The feature losses that will listen to it.
            fit: What `fit` was to be given, with `x` and `y`; `verbose`, too.
        """
        return functools.partial(self._data, name, teacher, list(losses), dict(fit))

    def unasked(self, student: keras.Model, fit: Mapping[str, Any]) -> Data | None:
        """Returns the same for a training that no teacher takes part in; None for arrays.

        The trainings before and after it are given unbatched data, so this one is, too.
        """
        return functools.partial(_unasked, student, dict(fit)) if _is_dataset(fit["x"]) else None

    def _data(self, name, teacher, losses, fit):
        teacher = teacher if isinstance(teacher, keras.Model) else teacher()
        taps = {tap.key: tap for loss in losses for tap in _taps(loss)}
        own = {key: value for key, value in self.settings.items() if key in _OF_CACHE}
        how = {key: value for key, value in self.settings.items() if key in _OF_LABEL}
        path = f"{self.folder}/{name}-{model_digest(teacher)[:12]}"
        with _quiet(fit.get("verbose")):
            cache = TeacherCache(path, teacher, layers=list(taps.values()), **own)
            labelled = cache.label(_parts(fit), **how)
        examples = int(labelled.cardinality())
        is_small = (cache.bytes_per_example or 0) * examples <= _MOST_HELD
        if is_small and not (_is_dataset(fit["x"]) or self.settings.get("augment")):
            return {"x": {"inputs": as_arrays(fit["x"]), **cache.answers()}}
        return _batched(labelled, examples, fit)


def cached_answers(
    cache: Cache, fit: Mapping[str, Any], teachers: Iterable[Any]
) -> CachedAnswers | None:
    """Returns what a scheme's `cache` asks for; None if teachers run in each step.

    Args:
        cache: As `CachedAnswers` takes it, or None.
        fit: What each training's `fit` takes, with `x` and `y`.
        teachers: Those that are trained already; what is no model is passed over.

    Raises:
        TypeError, ValueError: If a teacher moves, or the data cannot be labelled.
    """
    if cache is None:
        return None
    for teacher in teachers:
        if follows(teacher):
            raise ValueError(
                "A `cache` keeps what a teacher says once, and this one moves after its student: "
                f"take cache=None. Received: teacher '{teacher.name}' of class "
                f"{type(teacher).__name__}"
            )
    _check_fit(fit)
    return CachedAnswers(cache)


def _unasked(student, fit):
    source = Source(fit["x"], input_spec=input_spec(student))
    return _batched(source.dataset, source.length, fit)


def _batched(examples, count, fit):
    """What `fit` is given for examples that are neither shuffled nor batched."""
    if fit.get("shuffle", True):
        window = _MOST_SHUFFLED if count < 0 else min(count, _MOST_SHUFFLED)
        # Arrays are in memory already; of other data the buffer would be the first copy.
        window = window if _is_dataset(fit["x"]) else count
        examples = examples.shuffle(max(1, window))
    batches = examples.batch(fit.get("batch_size") or 32).prefetch(2)
    taken = dict.fromkeys(("y", "sample_weight", "batch_size"))
    return {**taken, "x": batches, "shuffle": False}


def _is_dataset(x):
    return hasattr(x, "element_spec")


def _check_fit(fit):
    if fit.get("validation_split"):
        raise ValueError(
            "With a `cache` all of `x` is labelled: give `validation_data`. Received: "
            f"validation_split={fit['validation_split']!r}"
        )
    x, y, weights = fit["x"], fit.get("y"), fit.get("sample_weight")
    if isinstance(x, keras.utils.PyDataset):
        raise TypeError(
            "A `cache` belongs to examples in a fixed order: give arrays, or an unbatched "
            f"tf.data.Dataset. Received: x of type {type(x).__name__}"
        )
    if _is_dataset(x) and (y is not None or weights is not None):
        raise ValueError(
            "Labels and weights are in a tf.data.Dataset already. Received: `x` a dataset, and "
            f"{'`y`' if y is not None else '`sample_weight`'}"
        )
    if y is None and weights is not None:
        raise ValueError("Sample weights need labels here. Received: sample_weight, y=None")


def _taps(loss):
    return [Tap.of(theirs, loss.side) for theirs in (loss.layers or {}).values()]


def _parts(fit):
    """The data as `TeacherCache.label` takes them."""
    if fit.get("y") is None:
        return fit["x"]
    weights = fit.get("sample_weight")
    return (fit["x"], fit["y"]) if weights is None else (fit["x"], fit["y"], weights)


@contextlib.contextmanager
def _quiet(verbose: Any) -> Iterator[None]:
    """Has the cache print nothing where `fit` would not."""
    if verbose or not keras.config.is_interactive_logging_enabled():
        yield
        return
    keras.config.disable_interactive_logging()
    try:
        yield
    finally:
        keras.config.enable_interactive_logging()

"""A model that sends raw data through the preprocessors of the tasks that it is made of."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_kd.features.preprocessing import Preprocessing
from keras_kd.features.string_inputs import as_arrays, check_strings
from keras_kd.lazy_modules import tf

_BATCH_SIZE = 32  # Keras' own
_DATA = ("x", "y", "sample_weight")


class RawDataModel(keras.Model):
    """A model of a `student` and a `teacher`, whose doors take what KerasHub's tasks take.

    Raw data, as a task's own `fit` takes them, go through the student's preprocessor, which may
    make labels and weights too, and through the teacher's where that is another object: then `x`
    is `{"inputs": x, "teacher_inputs": x}`. Data of models without preprocessors, and data that are
    preprocessed already, are left as they are.
    """

    validate_with_teacher: Any = False

    @property
    def data_are_for(self) -> keras.Model:
        """The model whose preprocessor raw data go through."""
        return self.student

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `fit`."""
        given = _bound("fit", self, args, kwargs)
        preprocessing = self._preprocessing(self.teacher)
        if preprocessing is not None:
            size, held_out = given.get("batch_size"), _by_name(given.get("validation_data"))
            if held_out is None and given.get("validation_split"):
                held_out = _split(given, given.pop("validation_split"))
            _prepare(given, preprocessing, shuffle=given.get("shuffle", True))
            if held_out is not None:
                size = given.get("validation_batch_size") or size
                found = _prepared(held_out, preprocessing, size)
                given["validation_data"] = found["x"] if len(found) == 1 else tuple(found.values())
        self._check_strings(given.get("x"))
        return super().fit(**given)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `evaluate`."""
        return super().evaluate(**self._given("evaluate", args, kwargs))

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `predict`."""
        return super().predict(**self._given("predict", args, kwargs))

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `train_on_batch`."""
        return super().train_on_batch(**self._batch("train_on_batch", args, kwargs))

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `test_on_batch`."""
        return super().test_on_batch(**self._batch("test_on_batch", args, kwargs))

    def predict_on_batch(self, x: Any) -> Any:
        """Keras' `predict_on_batch`."""
        return super().predict_on_batch(**self._batch("predict_on_batch", (x,), {}))

    def _given(self, door, args, kwargs):
        given, preprocessing = _bound(door, self, args, kwargs), self._preprocessing_for(door)
        # What `fit` evaluates it has prepared.
        if preprocessing is not None and not given.get("_use_cached_eval_dataset"):
            _prepare(given, preprocessing)
        self._check_strings(given.get("x"))
        return given

    def _batch(self, door, args, kwargs):
        given, preprocessing = _bound(door, self, args, kwargs), self._preprocessing_for(door)
        if preprocessing is not None:
            found = dict(zip(_DATA, preprocessing(*_data_of(given)), strict=True))
            wanted = ("x",) if door == "predict_on_batch" else _DATA
            given.update({name: found[name] for name in wanted if found[name] is not None})
        return given

    def _check_strings(self, x):
        """Says of arrays what Keras, which cannot read strings on every backend, would not."""
        if isinstance(x, dict | list | np.ndarray):
            check_strings(as_arrays(self._unpack(x)["inputs"]), self.data_are_for, "student")

    def _preprocessing_for(self, door):
        """Returns what prepares a batch for a door, which need not run the teacher."""
        tests = door in ("evaluate", "test_on_batch") and self.validate_with_teacher
        return self._preprocessing(self.teacher if tests or door == "train_on_batch" else None)

    def _preprocessing(self, teacher):
        """Returns what prepares a batch, or None if neither model brings a preprocessor."""
        found = Preprocessing(self.data_are_for, teacher, self._unpack)
        return found if found.is_needed else None

    def _unpack(self, x):
        raise NotImplementedError


class _PreparedPyDataset(keras.utils.PyDataset):
    """A `PyDataset` whose batches are prepared as they are asked for."""

    def __init__(self, dataset, preprocessing):
        super().__init__(
            workers=dataset.workers,
            use_multiprocessing=dataset.use_multiprocessing,
            max_queue_size=dataset.max_queue_size,
        )
        self.dataset, self.preprocessing = dataset, preprocessing

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        return _element(self.preprocessing, self.dataset[index])

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()


def _bound(door, model, args, kwargs):
    """Returns a door's arguments by name, as Keras would read them."""
    given = inspect.signature(getattr(keras.Model, door)).bind(model, *args, **kwargs).arguments
    given = {**given, **given.get("kwargs", {})}
    return {name: value for name, value in given.items() if name not in ("self", "kwargs")}


def _prepare(given, preprocessing, shuffle=False):
    """Replaces what of a door's arguments is raw."""
    data = {name: given.pop(name) for name in _DATA if given.get(name) is not None}
    found = _prepared(data, preprocessing, given.get("batch_size"), shuffle)
    if shuffle and found.keys() != data.keys():  # it is done
        given["shuffle"] = False
    given.update(found)


def _by_name(data):
    """Returns `validation_data` as arguments by name, or None."""
    if data is None:
        return None
    if isinstance(data, tuple | list) and not isinstance(data[0], str | bytes):
        return dict(zip(_DATA, data, strict=False))
    return {"x": data}


def _data_of(given):
    return [as_arrays(given.get(name)) for name in _DATA]


def _split(given, share):
    """Takes the last `share` of the arrays out of what is given and returns it."""
    parts = dict(zip(_DATA, _data_of(given), strict=True))
    if any(not hasattr(leaf, "shape") for leaf in keras.tree.flatten(parts["x"])):
        raise ValueError(
            "`validation_split` is for arrays: give `validation_data` beside a data set. Received: "
            f"x of type {type(parts['x']).__name__}, validation_split={share}"
        )
    count = len(keras.tree.flatten(parts["x"])[0])
    at = int(count * (1.0 - share))
    if not 0 < at < count:
        raise ValueError(
            "`validation_split` must leave examples on both sides. Received: "
            f"validation_split={share}, {count} examples"
        )
    given.update({k: _rows(v, slice(None, at)) for k, v in parts.items() if v is not None})
    return {k: _rows(v, slice(at, None)) for k, v in parts.items() if v is not None}


def _rows(part, rows):
    return keras.tree.map_structure(lambda leaf: leaf[rows], part)


def _prepared(data, preprocessing, size, shuffle=False):
    """Returns the data by name: those that come lazily as such, raw arrays as a `tf.data.Dataset`.

    Args:
        data: `x`, `y` and `sample_weight`, as far as they are given.
        preprocessing: The `Preprocessing`.
        size: Examples in a batch of what arrays become; None for Keras' own.
        shuffle: Whether to shuffle these.
    """
    x = data.get("x")
    if isinstance(x, keras.utils.PyDataset):
        return {**data, "x": _PreparedPyDataset(x, preprocessing)}
    if isinstance(x, Iterator):
        return {**data, "x": (_element(preprocessing, element) for element in x)}
    if hasattr(x, "element_spec"):  # of a tf.data.Dataset
        return {**data, "x": _mapped(x, preprocessing)}
    arrays = _data_of(data)
    if x is None or not preprocessing.is_raw(arrays[0]):
        return data
    if any(not hasattr(leaf, "shape") for leaf in keras.tree.flatten(arrays[0])):
        raise ValueError(
            "A preprocessor takes arrays, lists of strings, a tf.data.Dataset, a PyDataset or a "
            f"generator. Received: x of type {type(x).__name__}: preprocess such data, and set "
            "`preprocessor = None` on the models"
        )
    arrays = keras.tree.map_structure(np.asarray, keras.utils.pack_x_y_sample_weight(*arrays))
    examples = tf.data.Dataset.from_tensor_slices(arrays)
    if shuffle:
        examples = examples.shuffle(max(1, int(examples.cardinality())))
    return {"x": _mapped(examples.batch(size or _BATCH_SIZE), preprocessing)}


def _mapped(dataset, preprocessing):
    """Returns the same batches, prepared; the same data set if they need nothing."""
    spec = dataset.element_spec
    of_parts = isinstance(spec, tuple)
    if not preprocessing.is_raw(spec[0] if of_parts else spec):
        return dataset
    if preprocessing.are_two:
        for first in dataset.take(1).as_numpy_iterator():
            preprocessing.check_repeats(first[0] if of_parts else first)
    prepared = dataset.map(
        lambda *parts: _element(preprocessing, parts if of_parts else parts[0]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return prepared.prefetch(tf.data.AUTOTUNE)


def _element(preprocessing, element):
    return keras.utils.pack_x_y_sample_weight(
        *preprocessing(*keras.utils.unpack_x_y_sample_weight(element))
    )

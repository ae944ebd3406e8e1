"""Runs a teacher on batches and keeps what a cache stores of its answers."""

import dataclasses

import keras
import numpy as np

from keras_kd.cache.components import Component, describe
from keras_kd.cache.fingerprints import content_digest
from keras_kd.cache.layer_reader import LayerReader
from keras_kd.cache.probabilities import (
    SMALLEST,
    all_of_rows,
    check_probabilities,
    find_activation,
    logits_of,
    logsumexp,
)
from keras_kd.cache.shards import components_of
from keras_kd.features.layer_tree import nearest
from keras_kd.features.model_spec import input_spec, inspect_model
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.predict_on_batch import predict_on_batch
from keras_kd.features.preprocessing import check_repeats, has_preprocessor, preprocessed


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """An array to store, and how to read it."""

    values: np.ndarray
    dtype: str
    read_as: str = "float32"
    probabilities: bool = False


class Labeller:
    """What a teacher says of a batch, as a flat list of arrays that `components` describe.

    Probabilities become logits, which lower precision keeps better.

    Args:
        teacher: A built `keras.Model`, or a function from a batch of arrays to arrays.
        dtype: What to store.
        top_k: None, or how many of the largest probabilities.
        layers: The `Tap`s to read inside.
        from_logits: Whether the teacher returns logits or other real values; None finds out.
    """

    def __init__(self, teacher, *, dtype, top_k, layers, from_logits):
        self.teacher, self.dtype, self.top_k = teacher, dtype, top_k
        self.is_model = isinstance(teacher, keras.Model)
        self.input_spec = input_spec(teacher) if self.is_model else None
        # What an example has to be; a preprocessor takes many things.
        self.takes = None if has_preprocessor(teacher) else self.input_spec
        self._reader = LayerReader(teacher, layers) if self.is_model else None
        self._layers, self._from_logits = [tap.key for tap in layers], from_logits
        self.activations = self.structure = self.components = self._learned = None

    def learn(self, x):
        """Runs the teacher once, to see what it gives."""
        spec = None
        if self.is_model:
            check_repeats(
                self.teacher, own_inputs(keras.tree.map_structure(np.asarray, x), self.teacher)
            )
        if self.is_model and self.input_spec is not None:
            spec = inspect_model(self.teacher, self.input_spec, {})
            spec.check_classes_last(self.teacher.name)
        if not self._layers and (spec is None or not spec.has_masks):
            self._reader = None
        given = self._run(x, 0)
        self._learned = content_digest(x), given
        outputs = keras.tree.flatten(given["teacher_outputs"])
        kinds = [self._from_logits] * len(outputs)
        if spec is not None and self._from_logits is None:
            kinds = spec.is_logits
        self.activations = [
            find_activation(value, kind) for value, kind in zip(outputs, kinds, strict=True)
        ]
        self.structure, leaves = describe(self._leaves(given, 0))
        self.components = [
            Component(leaf.values.shape[1:], leaf.dtype, leaf.read_as, leaf.probabilities)
            for leaf in leaves
        ]
        for leaf in leaves:
            _check_size(leaf.values, leaf.dtype, 0)

    def config(self) -> dict:
        """Returns what `recall` takes."""
        return {
            "activations": self.activations,
            "structure": self.structure,
            "components": [component.config() for component in self.components],
        }

    def recall(self, config):
        """Takes over what an earlier `learn` found."""
        self.activations, self.structure = config["activations"], config["structure"]
        if self._reader is not None:  # caches from before masks were kept have none
            self._reader.gives_masks = "teacher_masks" in self.structure["dict"]
            if not self._layers and not self._reader.gives_masks:
                self._reader = None
        self.components = components_of(config)

    def __call__(self, x, position) -> list:
        """Returns an array `(n, ...)` for each component.

        Args:
            x: A batch of what the teacher sees.
            position: The first example's number, for messages.

        Raises:
            ValueError: If the teacher's answer is not finite, too large for the stored dtype, of
                another shape than before, or no longer probabilities.
        """
        structure, leaves = describe(self._leaves(self._answers(x, position), position))
        values = [leaf.values for leaf in leaves]
        found = [value.shape[1:] for value in values]
        expected = [component.shape for component in self.components]
        if structure != self.structure or found != expected:
            raise ValueError(
                "The teacher must answer in the same shapes for all examples. Received: "
                f"{found} from example {position} on, {expected} before"
            )
        for value, component in zip(values, self.components, strict=True):
            _check_size(value, component.dtype, position)
        return values

    def _answers(self, x, position):
        """Runs the teacher, unless this is the first batch, which it has answered to learn."""
        learned, self._learned = self._learned, None
        if learned is not None and position == 0 and content_digest(x) == learned[0]:
            return learned[1]
        return self._run(x, position)

    def _run(self, x, position):
        if self.is_model:
            if keras.backend.backend() != "tensorflow":
                x = keras.tree.map_structure(np.asarray, x)
            x = own_inputs(x, self.teacher)
            if self._reader is not None:
                given = predict_on_batch(self._reader, preprocessed(self.teacher, x))
            else:
                given = {"teacher_outputs": predict_on_batch(self.teacher, x)}
        else:
            x = keras.tree.map_structure(np.asarray, x)
            given = self._of_function(self._asked(x, position))
        given = keras.tree.map_structure(lambda value: _float32(value, position), given)
        outputs = keras.tree.flatten(given["teacher_outputs"])
        if len(outputs) == 1:  # an output of its own needs no name
            given["teacher_outputs"] = outputs[0]
        rows = len(keras.tree.flatten(x)[0])
        for leaf in keras.tree.flatten(given):
            if leaf.ndim < 1 or len(leaf) != rows:
                raise ValueError(
                    "The teacher must give one row an example. Received: an array of shape "
                    f"{leaf.shape} for {rows} examples"
                )
            _check_finite(leaf, position)
        return given

    def _asked(self, x, position):
        """Asks a function; an error of its own says of which examples."""
        try:
            return self.teacher(x)
        except Exception as error:
            last = position + len(keras.tree.flatten(x)[0]) - 1
            error.add_note(
                "The teacher, a function, raised this when it was asked about the examples "
                f"{position} to {last}; complete shards stay and are not labelled again."
            )
            raise

    def _of_function(self, answer):
        """Returns what a function said as a reader of layers gives it."""
        if not isinstance(answer, dict) or "outputs" not in answer:
            if not self._layers:
                return {"teacher_outputs": answer}
            raise ValueError(
                "A function that gives features, too, returns a dict {'outputs': outputs, name: "
                f"value}}. Received: layers={self._layers}, an answer of type "
                f"{type(answer).__name__}"
                + (f" with {sorted(answer)}" if isinstance(answer, dict) else "")
            )
        missing = [name for name in self._layers if name not in answer]
        if missing:
            raise ValueError(
                "The function does not give all that `layers` name. Received: no "
                f"{missing}.{nearest(missing[0], answer)} Available: {sorted(answer)}"
            )
        features = {name: answer[name] for name in self._layers}
        found = {"teacher_outputs": answer["outputs"]}
        return {**found, "teacher_features": features} if features else found

    def _leaves(self, given, position):
        activations = iter(self.activations)
        leaves = {
            "teacher_outputs": keras.tree.map_structure(
                lambda value: self._output(value, next(activations), position),
                given["teacher_outputs"],
            )
        }
        if "teacher_masks" in given:
            leaves["teacher_masks"] = keras.tree.map_structure(
                lambda mask: _Leaf(mask, "uint8", read_as="bool"), given["teacher_masks"]
            )
        if self._layers:
            leaves["teacher_features"] = keras.tree.map_structure(
                lambda value: _Leaf(value, self.dtype), given["teacher_features"]
            )
        return leaves

    def _output(self, value, activation, position):
        if activation is not None:
            check_probabilities(value, self.top_k and activation, position)
        if self.top_k is not None:
            return self._largest(logits_of(value, activation), activation)
        if activation is None:
            return _Leaf(value, self.dtype)
        # As independent ones, whatever they are: nothing then depends on a sum of 1.
        return {"probabilities": _Leaf(logits_of(value, "sigmoid"), self.dtype, probabilities=True)}

    def _largest(self, logits, activation):
        classes = logits.shape[-1] if logits.ndim > 1 else 0
        if activation == "sigmoid" or classes < 2:
            raise ValueError(
                "`top_k` is for outputs that choose one of several classes. Received: "
                f"top_k={self.top_k}, a teacher that gives shape {logits.shape[1:]}"
                + (" of independent probabilities" if activation == "sigmoid" else "")
            )
        if self.top_k > classes:
            raise ValueError(
                f"`top_k` must be at most the number of classes. Received: top_k={self.top_k}, "
                f"{classes} classes"
            )
        log_p = logits - logsumexp(logits)
        order = np.argsort(-log_p, axis=-1, kind="stable")
        chosen, rest = order[..., : self.top_k], order[..., self.top_k :]
        log_rest = np.full(log_p.shape[:-1], np.log(SMALLEST), "float32")
        if rest.shape[-1]:
            log_rest = logsumexp(np.take_along_axis(log_p, rest, axis=-1))[..., 0]
        smallest_integers = "uint8" if classes <= 2**8 else "uint16"
        return {
            "log_probabilities": _Leaf(np.take_along_axis(log_p, chosen, axis=-1), self.dtype),
            "indices": _Leaf(
                chosen, smallest_integers if classes <= 2**16 else "int32", read_as="int32"
            ),
            "log_rest": _Leaf(log_rest, self.dtype),
        }


def _float32(value, position):
    value = np.asarray(keras.ops.convert_to_numpy(value))
    if value.dtype.kind not in "fiubV":  # V: bfloat16 and its like
        raise TypeError(
            "The teacher must answer in real numbers: complex ones would lose a part, and other "
            f"things are none. Received: an array of {value.dtype} and shape {value.shape}, from "
            f"example {position} on"
        )
    return value.astype("float32", copy=False)


def _check_finite(values, position):
    rows = all_of_rows(np.isfinite(values))
    if not rows.all():
        raise ValueError(
            "The teacher must give finite numbers. Received: NaN or infinity for example "
            f"{position + rows.argmin()} ({np.sum(~rows)} of {len(rows)} in this batch)"
        )


def _check_size(values, dtype, position):
    """Raises if the values become infinite as they are stored."""
    if dtype != "float16":
        return
    rows = all_of_rows(np.abs(values) <= np.finfo("float16").max)
    if not rows.all():
        raise ValueError(
            "The teacher's answer is too large for float16: use dtype='bfloat16' or 'float32', in "
            f"another folder. Received: {np.abs(values[rows.argmin()]).max():g} for example "
            f"{position + rows.argmin()}"
        )

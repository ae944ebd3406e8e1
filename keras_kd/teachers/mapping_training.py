"""Training a mapping of a teacher's outputs against labels."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from keras_kd.features.undisturbed import without_graph
from keras_kd.teachers.held_out_outputs import HeldOut, log_probabilities

_ROUND = 20  # steps between two looks at what was held out
_PATIENCE = 5  # rounds without improvement
_MEMORY = 0.95  # of squared gradients
_SHARE = 0.2  # of the examples, which judge
_CHUNK = 2**22  # numbers that are mapped at a time


class MappingTraining:
    """Teaches a mapping by cross-entropy, all examples in each step, with Adam.

    The rate falls to 0 as a cosine. The weights that are kept are those of the round that judged
    best on examples which taught nothing; where none does better than those before, these.

    Args:
        mapping: A built layer from logits `(N, C)` to logits, with trainable weights.
        classes: C.
        learning_rate: The first.
        validation_split: What part of the examples judges; with 0 all teach and judge. None is
            0.2, and 0 for a single number, which learns nothing by heart.
        seed: Of the draw of these.

    Raises:
        ValueError: If the mapping has nothing to learn.
    """

    def __init__(self, mapping, classes, *, learning_rate, validation_split, seed=0):
        if not mapping.trainable_weights:
            raise ValueError(
                "The mapping has no trainable weights, so there is nothing to learn. Received: "
                f"mapping '{mapping.name}' of class {type(mapping).__name__}, "
                f"trainable={mapping.trainable}"
            )
        self.mapping, self.learning_rate = mapping, learning_rate
        numbers = sum(math.prod(weight.shape) for weight in mapping.trainable_weights)
        self.validation_split = validation_split
        if validation_split is None:
            self.validation_split = _SHARE if numbers > 1 else 0.0
        self.seed = seed
        inputs = keras.Input((classes,), dtype="float32")
        self.model = keras.Model(inputs, mapping(inputs), name="mapping_training")

    def train(self, held_out: HeldOut, steps: int) -> tuple[float, int]:
        """Takes steps from where the mapping is, and keeps what is better.

        Args:
            held_out: The examples.
            steps: How many at most.

        Returns:
            The mapping's mean negative log likelihood on the examples that judge, and how many
            steps were taken.
        """
        taught, judged = held_out.parted(self.validation_split, self.seed)
        before, start = self.model.get_weights(), nll(self.mapping, judged)
        self._begin(steps)
        rounds = math.ceil(steps / _ROUND)
        watched, callbacks = {}, []
        if self.validation_split:
            watched = {
                "validation_data": (judged.log_p, judged.labels, judged.weights),
                "validation_batch_size": len(judged.labels),
            }
            stop = keras.callbacks.EarlyStopping(patience=_PATIENCE, restore_best_weights=True)
            callbacks = [stop]
        # The last round is as long as the others: at a rate of 0 it takes no step too many.
        history = self.model.fit(
            _Again(taught, min(_ROUND, steps)),
            epochs=rounds,
            callbacks=callbacks,
            verbose=0,
            **watched,
        )
        found = nll(self.mapping, judged)
        if not found <= start:  # NaN too
            self.model.set_weights(before)
            found = start
        return found, min(steps, _ROUND * len(history.epoch))

    def _begin(self, steps):
        """Begins a schedule of so many steps, with Adam's moments at 0."""
        if self.model.compiled and self._steps == steps:  # what was traced goes on
            for variable in self.model.optimizer.variables:
                variable.assign(ops.zeros(variable.shape, variable.dtype))
            return
        self._steps = steps
        rate = keras.optimizers.schedules.CosineDecay(self.learning_rate, steps)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        # All examples are in each step, so that no noise needs a long memory; a short one forgets
        # how steep it was far from the goal.
        optimizer = keras.optimizers.Adam(rate, beta_2=_MEMORY)
        # Whatever the global policy is, this is float32: no loss needs to be scaled.
        self.model.compile(optimizer, loss, auto_scale_loss=False)


class _Again(keras.utils.PyDataset):
    """The same batch, so many times an epoch."""

    def __init__(self, held_out, times):
        super().__init__()
        self.batch = (held_out.log_p, held_out.labels, held_out.weights)
        self.times = times

    def __len__(self):
        return self.times

    def __getitem__(self, index):
        return self.batch


def mapped(mapping, log_p) -> np.ndarray:
    """Returns the log-probabilities that a mapping makes of others `(N, C)`, in float64."""
    size = max(1, _CHUNK // log_p.shape[-1])
    with without_graph():
        parts = [
            ops.convert_to_numpy(mapping(ops.convert_to_tensor(log_p[start : start + size])))
            for start in range(0, len(log_p), size)
        ]
    return log_probabilities(np.concatenate(parts))


def nll(mapping, held_out: HeldOut) -> float:
    """Returns the mean negative log likelihood of labels; of the outputs themselves for None."""
    unmapped = held_out.log_p
    log_p = log_probabilities(unmapped) if mapping is None else mapped(mapping, unmapped)
    own = log_p[np.arange(len(log_p)), held_out.labels]
    return float(-np.average(own, weights=held_out.weights))

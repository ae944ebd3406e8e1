"""A mapping of the teacher's outputs that is learned while the student trains."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_kd.callbacks.both_answers import BothAnswers
from keras_kd.callbacks.distiller_callback import DistillerCallback
from keras_kd.checks import check_number, check_whole_number
from keras_kd.data.batches import batches
from keras_kd.distiller.followed_model import follows
from keras_kd.evaluation.reliability import reliability
from keras_kd.features.string_inputs import as_arrays
from keras_kd.losses.mapped_kd_loss import MappedKDLoss, copy_of
from keras_kd.teachers.held_out_outputs import check_split, joined, log_probabilities, positions
from keras_kd.teachers.mapping_training import MappingTraining, mapped


class MappingMonitor(DistillerCallback):
    """Goes on teaching the mapping of a `losses.MappedKDLoss` after each epoch, and watches it.

    A mapping that begins as the identity so becomes what `teachers.fit_mapping` would make of it,
    some steps an epoch, and follows a teacher that moves. Once its likelihood has stood still for
    `patience` epochs it rests: it stays as it is, and the student trains on. A step of the mapping
    is never taken for the worse (see `fit_mapping`).

    Logged after each epoch, of the held-out examples that judge the mapping, of m, what it makes of
    the teacher's distribution p:

    ```
    mapping_kl        mean KL(m || p): how far it is from the identity, in nats
    mapping_entropy   mean entropy of m, in nats
    mapping_ece       expected calibration error of m, in 15 bins
    mapping_nll       mean negative log likelihood of the labels under m, in nats
    ```

    Of several outputs each that has such a loss has its own, `"a_mapping_kl"` for an output `a`.
    `plot_history` draws them. The mapping is part of the Distiller, so it is as it was in a
    training that is resumed, if this callback stands before `BackupAndRestore`; the epochs without
    improvement are counted anew. Callbacks that read the names come after this one.

    Args:
        data: Held-out examples with labels, which the student should not be judged by: batched
            data or arrays as `compare` takes them; of a Distiller without a teacher what a
            `TeacherCache` labelled. Outputs of all examples are held in memory.
        steps: Of the mapping in an epoch, at most. Defaults to 40.
        learning_rate: The first in each epoch; it falls to 0. Defaults to 0.05.
        validation_split: What part of the examples judges. None, the default, as in `fit_mapping`.
        patience: Epochs without improvement before the mapping rests, at least 1. Defaults to 3.
        min_delta: What of `mapping_nll` is no improvement yet, at least 0. Defaults to 1e-4.
        verbose: 1 prints when a mapping rests.

    Attributes:
        rested: By the term's name the epoch (from 0) at whose end its mapping came to rest.

    Raises:
        TypeError, ValueError: If an argument is wrong; before the first step, if the Distiller has
            no such loss, its mapping has no trainable weights, or the labels are not those of its
            classes.

    Example:

    >>> import keras_kd, numpy as np
    >>> held_out = np.zeros((8, 4)), np.zeros(8)
    >>> callback = keras_kd.callbacks.MappingMonitor(held_out, patience=2)
    """

    def __init__(
        self,
        data: Any,
        *,
        steps: int = 40,
        learning_rate: float = 0.05,
        validation_split: float | None = None,
        patience: int = 3,
        min_delta: float = 1e-4,
        verbose: int = 0,
    ) -> None:
        super().__init__()
        self.data = data
        self.steps = check_whole_number("steps", steps, least=1)
        self.patience = check_whole_number("patience", patience, least=1)
        self.min_delta = check_number("min_delta", min_delta, least=0.0)
        self._settings = {
            "learning_rate": check_number("learning_rate", learning_rate, above=0.0),
            "validation_split": check_split(validation_split),
        }
        self.verbose = verbose
        self.rested: dict[str, int] = {}
        self._learning: dict[str, _Learning] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Runs the teacher on the data and looks at what is to be learned."""
        self.rested = {}
        self._answers = BothAnswers(self.model)
        terms = self._answers.terms
        names = [name for name, term in terms.items() if isinstance(term.loss, MappedKDLoss)]
        if not names:
            raise ValueError(
                "The Distiller maps no output of its teacher: give it "
                "kd_loss=keras_kd.losses.MappedKDLoss(mapping). Received: losses "
                f"{[f'{name}: {type(term.loss).__name__}' for name, term in terms.items()]}"
            )
        self._learning = {
            name: _Learning(terms[name].part, found, self._settings)
            for name, found in self._held_out(names).items()
        }

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes the epoch's steps, and adds the figures to the logs."""
        model = self.model  # whose values JAX brings up to date here
        if follows(model.teacher):
            for name, found in self._held_out(self._learning).items():
                self._learning[name].look_at(found)
        parts = {term.name: term.part for term in model.output_terms}
        for name, learning in self._learning.items():
            if name not in self.rested:
                learning.go_on(parts[name], self.steps, self.min_delta)
                if learning.wait >= self.patience:
                    self._rest(name, epoch)
            if logs is not None:
                for figure, value in learning.figures().items():
                    logs[name.replace("kd_loss", f"mapping_{figure}")] = value

    def _held_out(self, names):
        """Returns the positions with labels, at each of the outputs."""
        found: dict[str, list] = {name: [] for name in names}
        for batch in batches(as_arrays(self.data)):
            answers = self._answers(*batch)
            for name, parts in found.items():
                said = answers[name]
                parts.append(positions(said.teacher, said.labels, said.mask, said.sample_weight))
        return {name: joined(parts) for name, parts in found.items()}

    def _rest(self, name, epoch):
        self.rested[name] = epoch
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: the mapping of {name} rests.")


class _Learning:
    """One output's mapping on its way.

    Attributes:
        wait: Epochs since the last improvement.
    """

    def __init__(self, part: keras.layers.Layer, held_out, settings):
        # A copy, since the Distiller's own is no variable that training may change.
        self.mapping = copy_of(part)
        self.mapping.trainable = True
        self.training = MappingTraining(self.mapping, held_out.log_p.shape[-1], **settings)
        self.best, self.wait = np.inf, 0
        self.look_at(held_out)

    def look_at(self, held_out):
        """Takes what the teacher says now."""
        self.held_out = held_out
        share, seed = self.training.validation_split, self.training.seed
        self.judged = held_out.parted(share, seed)[1]

    def go_on(self, part, steps, min_delta):
        """Takes an epoch's steps from where the Distiller's mapping is, and moves that."""
        self.mapping.set_weights(part.get_weights())  # which a backup may have brought back
        nll, _ = self.training.train(self.held_out, steps)
        part.set_weights(self.mapping.get_weights())
        if nll < self.best - min_delta:
            self.best, self.wait = nll, 0
        else:
            self.wait += 1

    def figures(self) -> dict[str, float]:
        """Returns what the mapping makes of the examples that judge it, as numbers by name."""
        judged = self.judged
        before, after = log_probabilities(judged.log_p), mapped(self.mapping, judged.log_p)
        p = np.exp(after)
        own = after[np.arange(len(after)), judged.labels]
        each = {"kl": (p * (after - before)).sum(-1), "entropy": -(p * after).sum(-1), "nll": -own}
        found = {
            name: float(np.average(value, weights=judged.weights)) for name, value in each.items()
        }
        ece = reliability(judged.labels, p.astype("float32"), judged.weights).ece
        return {**found, "ece": ece}

"""Several models, and a final one that learns what to make of their answers."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
import numpy as np

from keras_kd.checks import check_flag
from keras_kd.features.model_digest import model_digest
from keras_kd.teachers.final_model import FinalModel
from keras_kd.teachers.held_out import folds_of, held_out_batches, is_data_set
from keras_kd.teachers.member_predictions import member_predictions, predicted, rows
from keras_kd.teachers.members import check_member


class Stacked:
    """Hands the predictions of several models to a final one, which was fitted on held-out data.

    ```
    z(x) = [p_1(x), ..., p_M(x)]     the members' probabilities side by side, (B, M * C)
    answer = final(z(x))             (B, C)
    ```

    Members know the examples that they were trained on better than others: a final model that is
    fitted on their predictions of these learns to trust whoever overfits most. So it is fitted on
    examples that no member has seen, `fit_final`, or on predictions that each time come from
    members trained without the example, `Stacked.cross_fitted`.

    It is a teacher like any other through a `TeacherCache`, as a function from batches of arrays to
    arrays; with a final model of Keras `model` also teaches live, in a Distiller.

    Args:
        models: Built `keras.Model`s that each give one distribution over the same C classes, logits
            or probabilities `(B, C)`. Of inputs by name each takes its own.
        final: A built `keras.Model` from `(B, M * C)` to `(B, C)`, logits or probabilities, or
            anything with `fit(z, y)` and `predict_proba(z)`, such as scikit-learn's
            `LogisticRegression()`. It is fitted in place.
        fitted: Whether `final` has been fitted already, which nothing here can check. Defaults to
            False.
        from_logits: Whether the models return logits: True, False, or a list with one of them for
            each model. None (the default) finds out from their last layers.

    Call arguments: a batch of arrays as the models take it. Returns `(B, C)`.

    Attributes:
        models, final: What it was made of.
        predictions: A `keras.Model` that gives z.

    Raises:
        TypeError, ValueError: If a model is not built, classes or inputs differ, it cannot be known
            what a model returns, or `final` is no such model.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> def net():
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> x, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 3
    >>> teacher = keras_kd.teachers.Stacked([net(), net()], LogisticRegression())
    >>> fitted = teacher.fit_final(x[:20], y[:20], trained_on=x[20:])
    >>> teacher(x[:5]).shape
    (5, 3)

    Reference: Wolpert, "Stacked Generalization", Neural Networks 1992; Ting, Witten, "Issues in
    Stacked Generalization", JAIR 1999 (probabilities rather than classes).
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        final: Any,
        *,
        fitted: bool = False,
        from_logits: bool | Sequence[bool | None] | None = None,
    ) -> None:
        self._final = FinalModel(final)
        self.predictions = member_predictions(models, from_logits)
        self.models, self.final = list(models), final
        self._is_fitted = check_flag("fitted", fitted)
        self._width = self.predictions.output.shape[-1]
        self._classes = self._width // len(models)
        self._final.check_takes(self._width, self._classes)
        self._model = None
        if self._final.is_keras:
            answer = final(self.predictions.output)
            self._model = keras.Model(self.predictions.input, answer, name="stacked")

    @property
    def model(self) -> keras.Model:
        """Members and final model as one `keras.Model`, for a Distiller; it holds them themselves.

        Raises:
            TypeError: If the final model is not one of Keras.
            ValueError: If it has not been fitted.
        """
        if self._model is None:
            raise TypeError(
                "A Distiller needs a teacher of Keras, and this final model is none: label the "
                "data with keras_kd.TeacherCache(path, stacked), and train Distiller(student) on "
                f"these. Received: final of type {type(self.final).__name__}"
            )
        self._check_fitted()
        return self._model

    def fit_final(self, x: Any, y: Any = None, *, trained_on: Any, **fit: Any) -> Any:
        """Fits the final model on examples that no member was trained on.

        Args:
            x, y: Arrays and their labels, class numbers `(N,)`, or a batched data set of both,
                with sample weights or without. A Keras model takes labels as its loss wants them.
            trained_on: What the members were trained on, arrays or a data set, also one that a
                `TeacherCache` has labelled. An example of `x` that is in it is an error; of inputs
                by name those decide that both have. None is for where it is not at hand: then
                nothing is checked, and a leak would not be seen.
            **fit: More arguments of the final model's own `fit`, such as `epochs`.

        Returns:
            What the final model's own `fit` returns.

        Raises:
            ValueError: If examples are in `trained_on`, or this is of other inputs, labels are
                missing or leave a class out, or a final Keras model is not compiled.
        """
        self._final.check_compiled()
        found = [
            (predicted(self.predictions, inputs), labels, weights)
            for inputs, labels, weights in held_out_batches(x, y, trained_on, self.predictions)
        ]
        z, labels = (np.concatenate([each[part] for each in found]) for part in (0, 1))
        if found[0][2] is not None:
            fit = {"sample_weight": np.concatenate([weights for _, _, weights in found]), **fit}
        returned = self._final.fit(z, self._final.labels(labels, self._classes), fit)
        self._is_fitted = True
        return returned

    @classmethod
    def cross_fitted(
        cls,
        train: Callable[[Any, Any], Sequence[keras.Model]],
        final: Any,
        x: Any,
        y: Any,
        *,
        folds: int = 5,
        seed: int = 0,
        from_logits: bool | Sequence[bool | None] | None = None,
        **fit: Any,
    ) -> Self:
        """Trains members and a final model on the same examples, without a leak.

        The examples are cut into folds, each with its share of the classes. Members that are
        trained on all folds but one predict that one; the final model is fitted on these
        predictions, and its members are trained once more, on all examples: `folds + 1` trainings.

        Args:
            train: A function `train(x, y)` that makes new members, trains them on these examples
                alone, and returns them as a list. What they share with those of other folds, such
                as a backbone, must be frozen.
            final: As of `Stacked`, not fitted.
            x: Arrays `(N, ...)`.
            y: Class numbers `(N,)`.
            folds: How many, at least 2.
            seed: Which examples fall into which fold.
            from_logits: As of `Stacked`.
            **fit: More arguments of the final model's own `fit`.

        Returns:
            A `Stacked`, its final model fitted.

        Raises:
            TypeError, ValueError: If `x` are no arrays, `train` returns no models, or one that it
                returned before or that trains weights of such a one, labels leave a class out, or a
                final Keras model is not compiled.

        Example:

        >>> import keras, keras_kd, numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> def train(x, y):  # the nearest class mean; mostly `compile` and `fit` stand here
        ...     means = np.stack([x[y == label].mean(0) for label in range(3)])
        ...     model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        ...     model.set_weights([2 * means.T, -(means**2).sum(-1)])
        ...     return [model]
        >>> x, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 3
        >>> teacher = keras_kd.teachers.Stacked.cross_fitted(
        ...     train, LogisticRegression(), x, y, folds=2)
        >>> teacher(x[:5]).shape
        (5, 3)
        """
        last = FinalModel(final)
        last.check_compiled()
        if not callable(train) or isinstance(train, keras.Model):
            raise TypeError(
                "`train` must be a function of (x, y) that returns a list of new, trained models. "
                f"Received: train={train!r}"
            )
        labels, fold = folds_of(y, folds, seed)
        x = _arrays(x, len(labels))
        seen, found = _Seen(), []
        for number in range(folds):
            out = fold == number
            members = _trained(train, rows(x, ~out), labels[~out], seen)
            team = member_predictions(members, from_logits)
            width = team.output.shape[-1]
            last.check_takes(width, width // len(members))
            last.labels(labels, width // len(members))  # before all the other trainings
            found.append(predicted(team, rows(x, out)))
        made = cls(_trained(train, x, labels, seen), final, from_logits=from_logits)
        widths = {made._width, *(each.shape[1] for each in found)}
        if len(widths) > 1:
            raise ValueError(
                "`train` must return as many members of the same classes each time. Received: "
                f"predictions of {sorted(widths)} numbers an example"
            )
        z = np.empty((len(labels), made._width), "float32")
        for number, each in enumerate(found):
            z[fold == number] = each
        last.fit(z, labels, fit)
        made._is_fitted = True
        return made

    def __call__(self, x: Any) -> np.ndarray:
        """Returns the final model's answers to a batch, `(B, C)`."""
        self._check_fitted()
        return self._final.answers(predicted(self.predictions, x), self._classes)

    def fingerprint(self) -> str:
        """Returns a digest by which a `TeacherCache` knows this teacher again.

        Of the members' and a final Keras model's weights and configs; any other final model is
        known by its answers to made-up predictions.
        """
        self._check_fitted()
        digest = hashlib.blake2b(model_digest(self.predictions).encode(), digest_size=16)
        digest.update(self._final.digest(self._width, self._classes))
        return digest.hexdigest()

    def _check_fitted(self):
        if not self._is_fitted:
            raise ValueError(
                "The final model has not been fitted: call `fit_final(x, y, trained_on=...)` on "
                "held-out examples, or say Stacked(models, final, fitted=True) of one that has. "
                f"Received: final={self.final!r}"
            )


class _Seen:
    """Members that were trained before, and the weights that trained in them.

    A weak reference keeps nobody alive, and who takes a dead one's place in memory is another one.
    """

    def __init__(self):
        self._models = weakref.WeakSet()
        self._weights = []

    def check_new(self, model):
        """Raises a ValueError if a model, or a weight that trains in it, was there before."""
        before = {id(held) for held in (ref() for ref in self._weights) if held is not None}
        again = [each.path for each in model.trainable_variables if id(each) in before]
        if model in self._models or again:
            of = f" with {again[:3]}{' ...' * (len(again) > 3)}" if again else ""
            raise ValueError(
                "`train` must make new members each time: one that was trained before knows the "
                "examples that it is to predict. What members share must be frozen. Received: "
                f"'{model.name}'{of} again"
            )

    def add(self, models):
        """Remembers models; those of one call may share what they train."""
        self._models.update(models)
        self._weights = [ref for ref in self._weights if ref() is not None]
        self._weights += [weakref.ref(each) for m in models for each in m.trainable_variables]


def _trained(train, x, y, seen):
    """Returns new members, trained on these examples."""
    members = train(x, y)
    if not isinstance(members, list | tuple):
        raise TypeError(
            f"`train` must return a list of new, trained models. Received: train(x, y)={members!r}"
        )
    for number, model in enumerate(members):
        check_member(f"train(x, y)[{number}]", model)
        seen.check_new(model)
    seen.add(members)
    return members


def _arrays(x, count):
    """Returns `x` as arrays of so many examples."""
    if is_data_set(x):
        raise TypeError(
            f"Folds are cut out of arrays. Received: x of type {type(x).__name__}, a data set"
        )
    x = keras.tree.map_structure(np.asarray, x)
    counts = [len(leaf) if leaf.ndim else 0 for leaf in keras.tree.flatten(x)]
    if set(counts) != {count}:
        raise ValueError(
            f"`x` must have one example for each of the {count} labels. Received: {counts} examples"
        )
    return x

"""Feature losses that wait for data, where there is no teacher to tell shapes."""

import contextlib
import dataclasses
import functools

from keras_kd.distiller.carried_data import features_in
from keras_kd.features.tap import Tap


class AwaitedShapes:
    """The feature losses of a Distiller without a teacher until data tell what they compare.

    Args:
        input_names: Names of the models' own inputs.

    Attributes:
        waiting: Losses with a teacher's tap whose shape is not known yet.
    """

    def __init__(self, input_names):
        self.waiting = []
        self._input_names = input_names
        self._seen = []

    @contextlib.contextmanager
    def told_by(self, distiller, x=None, *_, **__):
        """Attaches what waits, and what comes while the context is open, in the shapes of the data.

        Args:
            distiller: The Distiller. One that has a teacher needs no data for this.
            x: The first argument of its `fit` or `evaluate`.

        Raises:
            ValueError: If the data lack what a loss compares, or have it in another shape.
        """
        if distiller.teacher is not None:
            yield
            return
        self._seen.append(_Seen(x, self._input_names))
        try:
            self._check([term.loss for term in distiller.feature_terms])
            waiting, self.waiting = self.waiting, []
            try:
                while waiting:
                    distiller.attach(waiting[0])
                    del waiting[0]
            finally:
                self.waiting = waiting
            yield
        finally:
            self._seen.pop()

    def shaped(self, loss, active):
        """Returns `loss` with the shapes of its teacher's taps, or None if it is made to wait.

        Raises:
            ValueError: If the data cannot be looked at, or carry no such value; or if a loss that
                is to start at weight 0 would have to wait.
        """
        if all(tap.shape is not None for tap in _teacher_taps(loss)):
            return loss
        if not self._seen and not active:
            raise self._unknown(loss)
        if not self._seen:
            self.waiting.append(loss)
            return None
        features = self._seen[-1].features
        if features is None:
            raise ValueError(
                "The shapes of the teacher's values cannot be read off such data beforehand: give "
                f"them with `layers`, {_advice(loss)}. "
                f"Received: x of type {type(self._seen[-1].data).__name__}"
            )
        return _with_taps(
            loss, lambda tap: dataclasses.replace(tap, shape=tap.shape or features.shape(tap))
        )

    def check_none_waits(self):
        """Raises if a step runs before data have told the shapes."""
        for loss in self.waiting:
            raise self._unknown(loss)

    def _unknown(self, loss):
        return ValueError(
            "The shapes of the teacher's values are not known before `fit` has looked at the data: "
            f"call `fit`, or give them with `layers`, {_advice(loss)}. "
            f"Received: feature loss {loss.name!r}"
        )

    def _check(self, losses):
        """Raises if the data, as far as they can be looked at, lack what `losses` compare."""
        taps = [tap for loss in losses for tap in _teacher_taps(loss)]
        if taps and self._seen[-1].features is not None:
            for tap in taps:
                self._seen[-1].features.check(tap)


class _Seen:
    """Data that are looked at when they are first asked for."""

    def __init__(self, data, input_names):
        self.data, self._input_names = data, input_names

    @functools.cached_property
    def features(self):
        return features_in(self.data, self._input_names)


def without_shapes(loss):
    """Returns `loss` with taps that have no shapes, as its user may have written it."""
    if loss.layers is None:
        return loss
    return _with_taps(loss, lambda tap: dataclasses.replace(tap, shape=None))


def _teacher_taps(loss):
    return [Tap.of(tap, loss.side) for tap in (loss.layers or {}).values()]


def _with_taps(loss, change):
    return loss.with_layers(
        {ours: change(Tap.of(theirs, loss.side)) for ours, theirs in loss.layers.items()}
    )


def _advice(loss):
    tap = next(tap for tap in _teacher_taps(loss) if tap.shape is None)
    side = "" if tap.side == "output" else f", side={tap.side!r}"
    return f"Tap({tap.layer!r}{side}, shape=(None, ...))"

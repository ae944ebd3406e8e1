"""Keras' automatic names, which are the same in each training of a search."""

import contextlib
import re

import keras

from keras_kd.tuning.keras_state import counters, set_counters


@contextlib.contextmanager
def names_from(start):
    """Inside, names are given as they were from `start` on; afterwards none comes twice.

    A layer is called in each training what it is called in the first, and nothing as layers that
    were there before. Metrics' names stand in the logs alone, and begin anew.

    Args:
        start: What `counters` returned when the search began.
    """
    before, metrics = counters(), _of_metrics()
    set_counters({name: count for name, count in start.items() if name not in metrics})
    try:
        yield
    finally:  # what was trained may be held, and built on
        given = counters()
        names = [*before, *given]
        set_counters({name: max(before.get(name, 0), given.get(name, 0)) for name in names})


@contextlib.contextmanager
def names_as_before():
    """Names that are given inside are free again afterwards, as those are whose models go."""
    before = counters()
    try:
        yield
    finally:
        set_counters(before)


def _of_metrics():
    """Returns what automatic names of metrics begin with, and none of a layer or an operation."""
    return _prefixes(keras.Metric) - _prefixes(keras.Operation)


def _prefixes(kind):
    kinds, found = [kind], set()
    while kinds:
        each = kinds.pop()
        kinds.extend(each.__subclasses__())
        found.add(_prefix(each.__name__))
    return found


def _prefix(name):
    """Returns a class' name as Keras writes it for its objects."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()

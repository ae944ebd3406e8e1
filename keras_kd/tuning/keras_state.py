"""What Keras keeps for the whole program, beside what it keeps for each model."""

import contextlib
import threading

try:
    from keras.src.backend.common import global_state  # it has no public door
except ImportError:  # another Keras, which may keep it elsewhere
    global_state = None

_COUNTERS = "object_name_uids"


def is_known() -> bool:
    """Whether this Keras keeps its state where it is looked for."""
    return bool(_trackers())


@contextlib.contextmanager
def kept():
    """What the user has set of Keras stays, whatever is cleared inside.

    The dtype policy, a distribution, the switches of `keras.config`, open scopes of custom objects
    and of devices are all in there.
    """
    held = _trackers()
    try:
        yield
    finally:
        vars(global_state or threading.local()).update(held)


def counters() -> dict:
    """Returns how often each automatic name was given, by what it begins with."""
    return dict(global_state.get_global_attribute(_COUNTERS) or {}) if is_known() else {}


def set_counters(counts) -> None:
    """Has automatic names go on as if they had been given that often."""
    given = global_state.get_global_attribute(_COUNTERS) if is_known() else None
    if given is not None:  # Keras' own dict, which it makes with the first name
        given.clear()
        given.update(counts)


def _trackers():
    """Returns the objects that hold the state, by their names in Keras."""
    found = {} if global_state is None else vars(global_state)
    return {name: each for name, each in found.items() if isinstance(each, threading.local)}

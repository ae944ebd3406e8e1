"""Reading values inside a model while it runs, in the forward pass it does anyway."""

import contextlib
import functools
import threading

from keras_kd.features.attention import Attention, reporting_scores
from keras_kd.features.tap import ATTENTION_SIDES
from keras_kd.losses.formula.keras_mask import keras_mask

_WRAPPED = "_keras_kd_watched"
_CALLS = ("call", "quantized_call")  # what Keras runs, the second in a quantised layer
_ATTENTION = "_compute_attention"  # of Keras' attention layers, where all they compute with meets
_QUERY, _VALUE = "query", "value"  # the first arguments of their `call`
_running = threading.local()


class Recording:
    """The calls that watched layers make while this context is open, in this thread.

    Recordings nest: the innermost open one receives the calls.
    """

    def __init__(self):
        self.calls = []
        self.attentions = []

    def __enter__(self):
        if not hasattr(_running, "stack"):
            _running.stack = []
        _running.stack.append(self)
        return self

    def __exit__(self, *exception):
        _running.stack.pop()

    def report(self, layer, args, kwargs, given):
        """Keeps a call of a layer: its first argument and what it gave."""
        taken = args[0] if args else next(iter(kwargs.values()), None)
        self.calls.append((layer, taken, given))
        for attention in reversed(self.attentions):  # the one that ran inside this call
            if attention.layer is layer:
                named = {**kwargs, **dict(zip((_QUERY, _VALUE), args, strict=False))}
                attention.of_itself = named.get(_QUERY) is named.get(_VALUE)
                break

    def calls_of(self, layer) -> list:
        """Returns the `(layer, input, output)` triples of one layer, in order."""
        return [call for call in self.calls if call[0] is layer]

    def value(self, layer, tap):
        """Returns what `tap` reads of `layer`."""
        if tap.side in ATTENTION_SIDES:
            return self._attention(layer, tap).value(tap.side)
        _, taken, given = self._pick(self.calls_of(layer), tap)
        return taken if tap.side == "input" else given

    def mask(self, layer, tap):
        """Returns which positions of that value are real, or None if all of them are."""
        if tap.side in ATTENTION_SIDES:
            return self._attention(layer, tap).real_positions()
        return keras_mask(self.value(layer, tap))

    def _attention(self, layer, tap):
        return self._pick([a for a in self.attentions if a.layer is layer], tap)

    def _pick(self, calls, tap):
        if not calls:
            raise ValueError(
                "The layer did not run in this forward pass, so it has no value to compare. "
                f"Received: layer={tap.layer!r}"
            )
        if tap.call is None and len(calls) > 1:
            raise ValueError(
                f"The layer runs {len(calls)} times in a forward pass: say which call to read, "
                f"Tap({tap.layer!r}, call=0) to Tap({tap.layer!r}, call={len(calls) - 1}). "
                f"Received: layer={tap.layer!r}"
            )
        if tap.call is not None and tap.call >= len(calls):
            raise ValueError(
                f"The layer runs {len(calls)} times in a forward pass. "
                f"Received: {tap}, available: call=0 to call={len(calls) - 1}"
            )
        return calls[tap.call or 0]


def watch(layer, side="output"):
    """Makes `layer` report what `side` reads to the open recording, from now on.

    Patched once and for ever, on the instance: a patch for one step only would be unsafe where
    several replicas run at a time. Without an open recording it passes straight through.
    """
    for name in _methods(side):
        _hold(layer, name)


@contextlib.contextmanager
def watched(layers, taps=()):
    """Watches `layers`, and what `{tap: layer}` reads, while the context is open; then no more."""
    sides = [(layer, "output") for layer in layers]
    sides += [(layer, tap.side) for tap, layer in dict(taps).items()]
    held = [(layer, name) for layer, side in sides for name in _methods(side)]
    for layer, name in held:
        _hold(layer, name)
    try:
        yield
    finally:
        for layer, name in held:
            _release(layer, name)


# Threads may look at one model at a time: a method is patched while any of them holds it.
_patching = threading.Lock()


def _hold(layer, name):
    with _patching:
        holders = vars(getattr(layer, name))
        if _WRAPPED in holders:
            holders[_WRAPPED] += 1
            return
        wrap = _reporting_attention if name == _ATTENTION else _reporting
        reporting = wrap(layer, getattr(layer, name))
        setattr(reporting, _WRAPPED, 1)
        setattr(layer, name, reporting)


def _release(layer, name):
    with _patching:
        holders = vars(getattr(layer, name))
        holders[_WRAPPED] -= 1
        if not holders[_WRAPPED]:
            delattr(layer, name)


def _methods(side):
    return (*_CALLS, _ATTENTION) if side in ATTENTION_SIDES else _CALLS


def _reporting(layer, call):
    @functools.wraps(call)
    def watched_call(*args, **kwargs):
        given = call(*args, **kwargs)
        stack = getattr(_running, "stack", None)
        if stack:
            stack[-1].report(layer, args, kwargs, given)
        return given

    return watched_call


def _reporting_attention(layer, compute):
    with_scores = reporting_scores(layer, compute)

    @functools.wraps(compute)
    def watched_compute(*args, **kwargs):
        stack = getattr(_running, "stack", None)
        if not stack:
            return compute(*args, **kwargs)
        given, named = with_scores(*args, **kwargs)
        stack[-1].attentions.append(Attention(layer, given[1], named))
        return given

    return watched_compute

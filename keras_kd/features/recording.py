"""Reading values inside a model while it runs, in the forward pass it does anyway."""

import contextlib
import functools
import threading

_WRAPPED = "_keras_kd_watched"
_CALLS = ("call", "quantized_call")  # what Keras runs, the second in a quantised layer
_running = threading.local()


class Recording:
    """The calls that watched layers make while this context is open, in this thread.

    Recordings nest: the innermost open one receives the calls.
    """

    def __init__(self):
        self.calls = []

    def __enter__(self):
        if not hasattr(_running, "stack"):
            _running.stack = []
        _running.stack.append(self)
        return self

    def __exit__(self, *exception):
        _running.stack.pop()

    def calls_of(self, layer) -> list:
        """Returns the `(layer, input, output)` triples of one layer, in order."""
        return [call for call in self.calls if call[0] is layer]

    def value(self, layer, tap):
        """Returns what `tap` reads of `layer`."""
        calls = self.calls_of(layer)
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
        _, taken, given = calls[tap.call or 0]
        return taken if tap.side == "input" else given


def watch(layer):
    """Makes `layer` report its calls to the open recording, from now on.

    Patched once and for ever, on the instance: a patch for one step only would be unsafe where
    several replicas run at a time. Without an open recording it passes straight through.
    """
    for name in _CALLS:
        if not _is_watched(layer, name):
            setattr(layer, name, _reporting(layer, getattr(layer, name)))


@contextlib.contextmanager
def watched(layers):
    """Watches `layers` while the context is open and leaves them as they were."""
    fresh = [(layer, name) for layer in layers for name in _CALLS if not _is_watched(layer, name)]
    for layer in layers:
        watch(layer)
    try:
        yield
    finally:
        for layer, name in fresh:
            delattr(layer, name)


def _is_watched(layer, name):
    return _WRAPPED in vars(getattr(layer, name))


def _reporting(layer, call):
    @functools.wraps(call)
    def watched_call(*args, **kwargs):
        given = call(*args, **kwargs)
        stack = getattr(_running, "stack", None)
        if stack:
            taken = args[0] if args else next(iter(kwargs.values()), None)
            stack[-1].calls.append((layer, taken, given))
        return given

    setattr(watched_call, _WRAPPED, True)
    return watched_call

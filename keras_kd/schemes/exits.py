"""Where a model's exits are, checked, and the feature that the deepest classifier reads."""

import dataclasses

from keras_kd.features.layer_tree import find_layer, layer_paths
from keras_kd.features.model_spec import ModelSpec, inspect_model, symbolic_call
from keras_kd.features.output_kind import is_scoring
from keras_kd.features.recording import Recording, watched
from keras_kd.features.tap import Tap
from keras_kd.features.undisturbed import modes_kept
from keras_kd.schemes.peers import check_outputs

DEEPEST = "deepest"  # the name of the model's own classifier among the exits


@dataclasses.dataclass(frozen=True)
class Exits:
    """The values that a model's heads read.

    Attributes:
        taps: The exits' `Tap`s by the exits' names, from the shallowest on.
        feature: The `Tap` of the deepest feature.
        layers: The layer of each tap.
        spec: The model's `ModelSpec`, with the taps' shapes.
    """

    taps: dict
    feature: Tap
    layers: dict
    spec: ModelSpec


def find_exits(model, inputs, exits, feature) -> Exits:
    """Finds the exits in a model.

    Args:
        model: A built model.
        inputs: Its inputs as `KerasTensor`s.
        exits: Layer names or `Tap`s, from the shallowest on.
        feature: Likewise where the deepest feature is; None is what goes into the last layer that
            scores.

    Raises:
        ValueError: If the model gives several outputs, a layer is not there or does not come before
            the deepest feature, or the exits are not in the order in which the model runs them.
    """
    taps = {_name(tap): tap for tap in _taps(exits)}
    layers = {tap: find_layer(model, tap.layer, "model") for tap in taps.values()}
    calls = _calls(model, inputs)
    if feature is None:
        feature, found = _default_feature(model, calls)
    else:
        feature = Tap.of(feature)
        found = find_layer(model, feature.layer, "model")
    layers[feature] = found
    spec = inspect_model(model, inputs, layers)
    check_outputs([model], [spec])
    places = {tap: _place(calls, layer, tap) for tap, layer in layers.items()}
    late = [tap.key for tap in taps.values() if places[tap] >= places[feature]]
    if late:
        before = [path for path, layer in layer_paths(model).items() if layer in calls]
        raise ValueError(
            f"An exit must come before the deepest feature, {feature.key!r}: what lies behind it "
            f"is the model's own classifier. Received: exits={late}. The model runs: {before}"
        )
    in_order = sorted(taps.values(), key=lambda tap: places[tap])
    if in_order != list(taps.values()):
        raise ValueError(
            "`exits` must be in the order in which the model runs them, the shallowest first. "
            f"Received: exits={[tap.key for tap in taps.values()]}, the model's order is "
            f"{[tap.key for tap in in_order]}"
        )
    return Exits(taps, feature, layers, spec)


def _taps(exits):
    """Returns the exits as a list of different taps, or says that they are none."""
    if not isinstance(exits, list | tuple) or not exits:
        raise ValueError(
            "`exits` must be a list of at least one layer name or keras_kd.features.Tap, where the "
            f"model gets a classifier more. Received: exits={exits!r}"
        )
    for each in exits:
        if not isinstance(each, str | Tap):
            raise TypeError(
                "`exits` must hold layer names or keras_kd.features.Tap. Received: "
                f"{each!r} of type {type(each).__name__}"
            )
    taps = [Tap.of(each) for each in exits]
    names = [_name(tap) for tap in taps]
    if len(set(names)) < len(names) or DEEPEST in names:
        raise ValueError(
            f"`exits` must be different layers, none of them called {DEEPEST!r}, which is the "
            f"model's own classifier in the logs. Received: exits={names}"
        )
    attention = [tap.key for tap in taps if tap.side not in ("output", "input")]
    if attention:
        raise ValueError(f"An exit reads a layer's output or input. Received: exits={attention}")
    return taps


def _name(tap):
    """Returns a tap's name in the logs, where Keras wants no slashes."""
    return tap.key.replace("/", "_").replace(":", "_").replace("#", "_")


def _calls(model, inputs):
    """Returns the layers of the model in the order in which their calls end."""
    layers = list({id(layer): layer for layer in layer_paths(model).values()}.values())
    calls = []

    def run(x):
        with Recording() as recording:
            outputs = model(x, training=False)
        calls[:] = [layer for layer, _, _ in recording.calls]
        return outputs

    with watched(layers), modes_kept(model):
        symbolic_call(run, inputs)
    return calls


def _place(calls, layer, tap):
    """Returns when a tap's value is there, as a place among the calls."""
    places = [number for number, called in enumerate(calls) if called is layer]
    return places[tap.call or 0] - (0.5 if tap.side == "input" else 0.0)


def _default_feature(model, calls):
    """Returns the tap of what goes into the last layer that scores, and that layer."""
    layer = next((layer for layer in reversed(calls) if is_scoring(layer)), None)
    if layer is None:
        raise ValueError(
            "It cannot be known what the deepest classifier reads, since no Dense or convolutional "
            "layer runs: say feature='layer'. Received: feature=None"
        )
    path = next(path for path, found in layer_paths(model).items() if found is layer)
    count = calls.count(layer)
    return Tap(path, side="input", call=count - 1 if count > 1 else None), layer

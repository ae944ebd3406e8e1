"""A teacher whose BatchNormalization costs nothing."""

from __future__ import annotations

import keras
import numpy as np

from keras_kd.typing import Tensor

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


@keras.saving.register_keras_serializable(package="keras_kd")
class Folded(keras.layers.Layer):
    """Stands where a BatchNormalization was and hands its input on."""

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Returns the inputs."""
        del training, mask
        return inputs


def fold_batch_normalization(model: keras.Model) -> keras.Model:
    """Returns a copy for inference with BatchNormalization folded into the layers before it.

    ```
    gamma (W x + b - mean) / sqrt(variance + epsilon) + beta  =  W' x + b'
    W' = W s,   b' = (b - mean) s + beta,   s = gamma / sqrt(variance + epsilon)
    ```

    Folded is each `BatchNormalization` that alone reads a convolution, depthwise convolution or
    Dense layer with no activation of its own; others stay. Outputs are the same up to rounding, and
    so is what every layer gives but those convolutions, which give what their normalisation gave.
    The copy is for a teacher, live or labelling: it is not meant to be trained. `model` itself is
    not changed.

    Args:
        model: A built Functional or Sequential model.

    Returns:
        A new model with the same layer names, or `model` itself if there is nothing to fold.

    Raises:
        TypeError: If the model is subclassed: its layers' order is then not known.
        ValueError: If it is not built.

    Example:

    >>> import keras, keras_kd
    >>> net = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv"),
    ...                         keras.layers.BatchNormalization(name="norm")])
    >>> folded = keras_kd.teachers.fold_batch_normalization(net)
    >>> folded.get_layer("conv").use_bias, folded.count_params()
    (True, 112)

    Reference: Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2.
    """
    if not isinstance(model, keras.Sequential) and not hasattr(model, "operations"):
        raise TypeError(
            "Only Functional and Sequential models tell which layer reads which. Received: "
            f"model '{getattr(model, 'name', model)}' of type {type(model).__name__}"
        )
    if not model.built:
        raise ValueError(
            "The model is not built: call it on a batch of data or give it a keras.Input. "
            f"Received: model '{model.name}', built=False"
        )
    folds = _folds(model)
    if not folds:
        return model
    convolutions = {before.name: norm for norm, before in folds}
    norms = {norm.name for norm, _ in folds}

    def copy(layer):
        if layer.name in norms:
            return Folded(name=layer.name, dtype=layer.dtype_policy.name)
        config = layer.get_config()
        if layer.name in convolutions:
            config["use_bias"] = True
        return type(layer).from_config(config)

    copied = keras.models.clone_model(model, clone_function=copy)
    for layer in model.layers:
        if layer.name in convolutions:
            copied.get_layer(layer.name).set_weights(_folded(layer, convolutions[layer.name]))
        elif layer.weights and layer.name not in norms:
            copied.get_layer(layer.name).set_weights(layer.get_weights())
    return copied


def _folds(model):
    """Returns pairs of a BatchNormalization and the layer that it can be folded into."""
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    outputs = {id(tensor) for tensor in model.outputs}
    pairs = []
    for norm in norms:
        nodes = norm._inbound_nodes  # Keras has no public way from a layer to the one before it
        before = nodes[0].parent_nodes[0].operation if len(nodes) == 1 else None
        if before in model.layers and _can_take(before, norm) and id(before.output) not in outputs:
            pairs.append((norm, before))
    return pairs


def _can_take(before, norm):
    linear = getattr(before, "activation", None) in (None, keras.activations.linear)
    last = norm.axis in (-1, len(norm.input.shape) - 1)
    channels = getattr(before, "data_format", "channels_last") == "channels_last"
    once = len(before._inbound_nodes) == 1 and len(before._outbound_nodes) == 1
    kinds = (*_CONVOLUTIONS, *_DEPTHWISE, keras.layers.Dense)
    return type(before) in kinds and linear and last and channels and once


def _folded(layer, norm):
    weights = {weight.name: np.asarray(weight, "float64") for weight in norm.weights}
    scale = weights.get("gamma", 1.0) / np.sqrt(weights["moving_variance"] + norm.epsilon)
    kernel, *bias = [np.asarray(value, "float64") for value in layer.get_weights()]
    bias = bias[0] if bias else 0.0
    shift = (bias - weights["moving_mean"]) * scale + weights.get("beta", 0.0)
    if isinstance(layer, _DEPTHWISE):
        scale = np.reshape(scale, kernel.shape[-2:])
    return [kernel * scale, shift]

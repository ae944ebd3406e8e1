"""Float64 NumPy of the small networks that some losses hold."""

import keras
import numpy as np
from gradients import float64


def weights(layer):
    return [np.asarray(w.numpy(), "float64") for w in layer.weights]


def shake(part, seed=0):
    """Gives every weight another value, so that none can be left out unseen."""
    rng = np.random.default_rng(seed)
    with float64():
        for weight in part.weights:
            if "variance" in weight.path:
                weight.assign(rng.uniform(0.5, 2.0, weight.shape))
            else:
                weight.assign(0.5 * rng.normal(size=weight.shape))
    return part


def convolution(value, kernel):
    """Cross-correlation with zeros beyond the border, as all libraries call convolution."""
    size = kernel.shape[0]
    (b, h, w, _), edge = value.shape, size // 2
    padded = np.pad(value, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    out = np.zeros((b, h, w, kernel.shape[-1]))
    for i in range(size):
        for j in range(size):
            out += padded[:, i : i + h, j : j + w] @ kernel[i, j]
    return out


def row(stack, value):
    """A `LayerStack` at inference, from the weights of its layers."""
    for layer in stack.layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            (kernel,) = weights(layer)  # (h, w, out, in), turned round
            value = convolution(value, kernel[::-1, ::-1].swapaxes(2, 3))
        elif isinstance(layer, keras.layers.Conv2D):
            (kernel,) = weights(layer)
            value = convolution(value, kernel)
        elif isinstance(layer, keras.layers.Dense):
            (kernel,) = weights(layer)
            value = value @ kernel
        elif isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = weights(layer)
            value = gamma * (value - mean) / np.sqrt(variance + 1e-3) + beta
        elif isinstance(layer, keras.layers.LeakyReLU):
            # TensorFlow keeps the slope in float32, whatever the values are.
            value = np.where(value > 0.0, value, np.float32(0.1) * value)
        else:
            assert isinstance(layer, keras.layers.ReLU)
            value = np.maximum(value, 0.0)
    return value


def adaptive_average(value, sizes):
    """Adaptive average pooling of maps, window by window."""
    (b, h, w, c), (rows, columns) = value.shape, sizes
    out = np.zeros((b, rows, columns, c))
    for i in range(rows):
        for j in range(columns):
            top, bottom = i * h // rows, int(np.ceil((i + 1) * h / rows))
            left, right = j * w // columns, int(np.ceil((j + 1) * w / columns))
            out[:, i, j] = value[:, top:bottom, left:right].mean(axis=(1, 2))
    return out

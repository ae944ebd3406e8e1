"""Values and gradients in float64, on whichever backend runs."""

import contextlib

import keras
import numpy as np

# Elsewhere `keras.ops.mean` works in float32 at most, whatever it is given.
FLOAT64_STAYS = keras.backend.backend() == "tensorflow"
DIRECTIONS = 4


def rounding(of_float64):
    """A tolerance of values in float64; on PyTorch Keras takes means in float32."""
    return 1e-6 if keras.backend.backend() == "torch" else of_float64


@contextlib.contextmanager
def float64():
    """JAX makes every float a float32 unless it is told not to."""
    if keras.backend.backend() == "jax":
        import jax

        with jax.enable_x64(True):
            yield
    else:
        yield


def gradient(function, x, dtype="float64"):
    """The backend's own gradient of `function(tensor) -> scalar` at `x`; zeros if unconnected."""
    with float64():
        return _GRADIENTS[keras.backend.backend()](
            function, keras.ops.convert_to_tensor(x, dtype=dtype)
        )


def _of_tensorflow(function, x):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = function(x)
    return tape.gradient(loss, x, unconnected_gradients="zero").numpy()


def _of_jax(function, x):
    import jax

    return np.asarray(jax.jit(jax.grad(function))(x))


def _of_torch(function, x):
    import torch

    x = x.detach().requires_grad_()
    loss = function(x)
    if not loss.requires_grad:
        return keras.ops.convert_to_numpy(torch.zeros_like(x))
    (slope,) = torch.autograd.grad(loss, x, allow_unused=True)
    return keras.ops.convert_to_numpy(torch.zeros_like(x) if slope is None else slope)


_GRADIENTS = {"tensorflow": _of_tensorflow, "jax": _of_jax, "torch": _of_torch}


def compiled(function):
    """`function(arrays)` as JAX compiles it whole; it would compile each operation by itself."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


def assert_gradient(function, x):
    """Asserts that the backend's gradient is the slope of the values, in random directions.

    A direction is dense, a normal number for each coordinate, so a gradient that is wrong in any
    coordinate differs from the slope along it with probability one. The difference is the error
    times a normal number, the largest of four of which is below a tenth once in 25,000 times.

    The step moves each coordinate by about 1e-5 in float64, which leaves an error of about 1e-10
    of the slope from the third derivative, and 1e-11 of the value from rounding. In float32 a
    step of 2e-3 leaves 1e-5 of the slope, and 1e-4 of the value. The tolerances are some times
    that.
    """
    step, bend, rounding = (1e-5, 1e-7, 1e-9) if FLOAT64_STAYS else (2e-3, 1e-3, 3e-4)
    x = np.asarray(x, "float64")
    slope = np.asarray(gradient(function, x), "float64")
    function = compiled(function)

    def value(x):
        with float64():
            return float(function(keras.ops.convert_to_tensor(x, "float64")))

    tolerance = bend * np.linalg.norm(slope) + rounding * abs(value(x))
    for direction in np.random.default_rng(0).normal(size=(DIRECTIONS, *x.shape)):
        move = step * direction
        found = (value(x + move) - value(x - move)) / (2.0 * step)
        np.testing.assert_allclose((slope * direction).sum(), found, rtol=0.0, atol=tolerance)

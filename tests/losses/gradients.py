"""Values and gradients in float64, on whichever backend runs."""

import contextlib

import keras
import numpy as np

# Elsewhere `keras.ops.mean` works in float32 at most, whatever it is given.
FLOAT64_STAYS = keras.backend.backend() == "tensorflow"


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
        x = keras.ops.convert_to_tensor(x, dtype=dtype)
        if keras.backend.backend() == "jax":
            import jax

            return np.asarray(jax.grad(function)(x))
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = function(x)
        return tape.gradient(loss, x, unconnected_gradients="zero").numpy()


def central_differences(function, x, step):
    """The gradient of `function(array) -> float` from its values alone."""
    x = np.asarray(x, "float64")
    slopes = np.zeros(x.size)
    for i in range(x.size):
        moved = np.zeros(x.size)
        moved[i] = step
        moved = moved.reshape(x.shape)
        slopes[i] = (value(function, x + moved) - value(function, x - moved)) / (2.0 * step)
    return slopes.reshape(x.shape)


def value(function, x):
    """`function(array)` as a float64 number or array."""
    with float64():
        return np.asarray(keras.ops.convert_to_numpy(function(x)), "float64")


def assert_gradient(function, x):
    """Asserts that the backend's gradient is the slope of the values.

    In float64 a step of 1e-5 leaves an error of about 1e-10 from the third derivative and 1e-11
    from rounding. In float32 a step of 1e-2 leaves 1e-4 of each. The tolerances are some times
    that, of the largest slope.
    """
    step, tolerance = (1e-5, 1e-7) if FLOAT64_STAYS else (1e-2, 1e-3)
    expected = central_differences(function, x, step)
    np.testing.assert_allclose(
        gradient(function, x), expected, atol=tolerance * max(1.0, np.abs(expected).max())
    )

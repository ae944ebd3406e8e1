"""The normalisation that feature losses share."""

from keras import ops


def unit_norm(values, axes):
    """Divides values by their Euclidean norm over some axes.

    Args:
        values: Tensor.
        axes: The axis or axes that the norm runs over.

    Returns:
        Tensor of the same shape. Zeros stay zero, with a finite gradient.
    """
    # Scaled by the largest entry first, so that squares neither overflow nor vanish.
    largest = ops.stop_gradient(ops.max(ops.abs(values), axis=axes, keepdims=True))
    one = ops.ones_like(largest)
    scaled = values / ops.where(largest > 0.0, largest, one)
    squares = ops.sum(ops.square(scaled), axis=axes, keepdims=True)
    return scaled / ops.sqrt(ops.where(largest > 0.0, squares, one))

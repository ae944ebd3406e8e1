"""The target's share of a softmax, and how the rest is divided among the other classes."""

from keras import ops

from keras_kd.losses.formula.class_indices import class_indices


def target_mask(name, labels, logits):
    """Returns True at each label's class, and where labels are classes at all.

    Args:
        name: The loss' name, for messages.
        labels: As `class_indices` takes them.
        logits: Tensor `(..., C)` with at least two classes.

    Returns:
        Booleans `(..., C)` and `(...)`.

    Raises:
        ValueError: If there is one class only, or the labels do not fit.
    """
    classes = logits.shape[-1]
    if classes is None or classes < 2:
        raise ValueError(
            f"{name} tells the target from the other classes: logits of two classes or more were "
            f"expected. Received: student={tuple(logits.shape)}"
        )
    indices, known = class_indices(name, labels, logits)
    return ops.expand_dims(indices, -1) == ops.arange(classes, dtype="int32"), known


def target_split(logits, target):
    """Splits a softmax into "target or not" and the other classes among themselves.

    Args:
        logits: Tensor `(..., C)`.
        target: Booleans of its shape, True at one class.

    Returns:
        The logit d `(...)` of the target against all others, so that p_y = sigmoid(d) and
        1 - p_y = sigmoid(-d) at any size of d; and the others' log-probabilities `(..., C)`
        without the target, with 0 in its place.
    """
    zeros = ops.zeros_like(logits)
    others = ops.where(target, zeros - 1e30, logits)
    # What is subtracted from all classes cancels, and keeps small differences of large logits.
    largest = ops.stop_gradient(ops.max(others, axis=-1, keepdims=True))
    rest = ops.log(ops.sum(ops.exp(others - largest), axis=-1))
    target_logit = ops.sum(ops.where(target, logits - largest, zeros), axis=-1) - rest
    return target_logit, ops.where(target, zeros, ops.log_softmax(others, axis=-1))

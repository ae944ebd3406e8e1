"""What a cached teacher says of classes, as probabilities."""

from keras_kd.lazy_modules import tf

_TOP_K = {"log_probabilities", "indices", "log_rest"}


def class_probabilities(answers, classes=None):
    """Returns float32 probabilities `(B, C)` of a batch of a teacher's answers.

    Args:
        answers: Logits `(B, C)`, `{"probabilities": (B, C)}`, or top-k labels, whose remaining mass
            is spread evenly over the other classes.
        classes: C; None for answers that tell.

    Raises:
        ValueError: If the answers are none of these, or of another number of classes.
    """
    if isinstance(answers, dict) and set(answers) == _TOP_K:
        if classes is None:
            raise ValueError(
                "Top-k labels do not tell how many classes there are: give `num_classes`. "
                "Received: num_classes=None"
            )
        return _spread(answers, classes)
    is_probabilities = isinstance(answers, dict) and set(answers) == {"probabilities"}
    values = answers["probabilities"] if is_probabilities else answers
    if tf.nest.is_nested(values) or len(values.shape) != 2 or values.shape[-1] in (1, None):
        received = tf.nest.map_structure(lambda part: tuple(part.shape), answers)
        raise ValueError(
            "The teacher's answers must be those of one softmax over two classes or more: (B, C), "
            f"{{'probabilities': (B, C)}} or top-k labels. Received: teacher_outputs={received}"
        )
    if classes not in (None, values.shape[-1]):
        raise ValueError(
            "Labels and the teacher's answers must be of the same classes. "
            f"Received: {classes} classes, teacher_outputs={tuple(values.shape)}"
        )
    values = tf.cast(values, tf.float32)
    return values if is_probabilities else tf.nn.softmax(values)


def _spread(labels, classes):
    top = tf.exp(tf.cast(labels["log_probabilities"], tf.float32))
    rest = tf.exp(tf.cast(labels["log_rest"], tf.float32))
    count = top.shape[-1]
    if len(top.shape) != 2 or count > classes:
        raise ValueError(
            f"Top-k labels must be (B, k) with k of at most {classes}, the number of classes. "
            f"Received: log_probabilities={tuple(top.shape)}"
        )
    each = rest[:, None] / max(classes - count, 1)
    columns = tf.cast(labels["indices"], tf.int32)
    rows = tf.broadcast_to(tf.range(tf.shape(columns)[0])[:, None], tf.shape(columns))
    spread = tf.tensor_scatter_nd_update(
        tf.repeat(each, classes, axis=1), tf.stack([rows, columns], axis=-1), top
    )
    spread = tf.ensure_shape(spread, (None, classes))
    return spread / tf.reduce_sum(spread, axis=-1, keepdims=True)  # as in half precision it is not

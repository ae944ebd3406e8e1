"""The `tf.distribute` strategy that a model was made in."""

import contextlib


def strategy_scope(model):
    """Returns the context in which further variables of `model`, or beside it, are made.

    On TensorFlow it is that of the `tf.distribute` strategy that the model was made in.
    """
    strategy = getattr(model, "distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()

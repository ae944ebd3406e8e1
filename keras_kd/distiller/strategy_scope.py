"""Where the variables of a model that runs on several devices are made."""

import contextlib


def strategy_scope(model):
    """Returns the context in which further variables of `model` are made.

    On TensorFlow it is that of the `tf.distribute` strategy that the model was made in.
    """
    strategy = getattr(model, "distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()

"""The `tf.distribute` strategy that a model was made in."""

import contextlib


def strategy_scope(model):
    """Returns the context in which further variables of `model`, or beside it, are made.

    On TensorFlow it is that of the `tf.distribute` strategy that the model was made in.
    """
    strategy = getattr(model, "distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def processes_of(model):
    """Returns the cluster that a model's strategy spans, a `tf.train.ClusterSpec`; None of one."""
    resolver = getattr(getattr(model, "distribute_strategy", None), "cluster_resolver", None)
    cluster = None if resolver is None else resolver.cluster_spec()
    if not cluster or sum(cluster.num_tasks(job) for job in cluster.jobs) < 2:
        return None
    return cluster

"""Between two trainings: what Keras keeps of the first goes, what the user has set stays."""

import gc
import inspect

import keras

from keras_kd.tuning import keras_state

# Keras' names of the graphs of compiled steps, and of those that only find out shapes.
_OF_STEPS = ("one_step_on_data", "scratch_graph")


def fresh_session():
    """Lets go of what Keras and its backend keep of models that nobody holds any more.

    `keras.utils.clear_session` would also forget all that the user has set: it stays. Models that
    someone holds are not touched.
    """
    _forget_steps()
    if _in_strategy_scope() or not keras_state.is_known():  # which clearing would leave, or lose
        gc.collect()
        return
    with keras_state.kept():
        keras.utils.clear_session()


def _in_strategy_scope():
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.distribute.has_strategy()


def _forget_steps():
    """Takes compiled steps off TensorFlow's list of gradients, where they would stay for ever.

    What has a gradient of its own (some losses, the sum of gradients over replicas) is noted there
    with the graph it was traced in, and so with all weights. A step of Keras takes its gradients
    while it is traced; nobody asks for them afterwards.
    """
    if keras.backend.backend() != "tensorflow":
        return
    from tensorflow.python.framework import ops

    registry = getattr(ops, "gradient_registry", None)
    noted = getattr(registry, "_registry", None)  # it has no public way out
    if not isinstance(noted, dict):  # another TensorFlow, which may keep them elsewhere
        return
    for name in [name for name in noted if name.startswith("CustomGradient-")]:
        if any(graph.startswith(_OF_STEPS) for graph in _graphs_of(registry.lookup(name))):
            del noted[name]


def _graphs_of(gradient):
    """Yields the names of the graphs in which something with this gradient was traced."""
    of_tape = _held(gradient).get("tape_grad_fn")
    for leaf in keras.tree.flatten(_held(of_tape).get("result")):
        graph = getattr(leaf, "graph", None)
        while graph is not None:
            yield getattr(graph, "name", "")
            graph = getattr(graph, "outer_graph", None)


def _held(function):
    """Returns what a function has of the one that it was made in, by name."""
    if not inspect.isfunction(function):
        return {}
    cells = function.__closure__ or ()
    return dict(
        zip(function.__code__.co_freevars, (cell.cell_contents for cell in cells), strict=True)
    )

"""The gradient of a model's scores to its inputs, inside a training step."""

import keras
from keras import ops

from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.recording import Recording
from keras_kd.features.undisturbed import modes_kept
from keras_kd.lazy_modules import tf


def input_gradient(model, inputs, score):
    """Returns how a score of each sample changes with the model's inputs.

    The model runs once more, in inference mode, so that each sample's gradient is its own (batch
    normalisation uses its moving statistics) and no state moves. What is returned can be
    differentiated again; on PyTorch, unless that is without a graph.

    Args:
        model: A Keras model.
        inputs: Its inputs, of floating-point numbers.
        score: `score(outputs) -> tensor`, summed to one scalar.

    Returns:
        The gradients, in the structure of `inputs`.

    Raises:
        NotImplementedError: On a backend other than these.
    """
    inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(lambda x: _total(_without_state(model), x, score))(inputs)
    if keras.backend.backend() == "tensorflow":
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = _total(lambda x: model(own_inputs(x, model), training=False), inputs, score)
        return tape.gradient(value, inputs, unconnected_gradients="zero")
    if keras.backend.backend() == "torch":
        return _by_torch(model, inputs, score)
    raise NotImplementedError(
        "Gradients to the inputs are there on TensorFlow, JAX and PyTorch. "
        f"Received: backend={keras.backend.backend()!r}"
    )


def _by_torch(model, inputs, score):
    import torch

    again = torch.is_grad_enabled()  # `evaluate`, for one, switches it off
    inputs = keras.tree.map_structure(lambda x: x.detach().requires_grad_(), inputs)
    with modes_kept(model), torch.enable_grad():
        value = _total(lambda x: model(own_inputs(x, model), training=False), inputs, score)
        flat = keras.tree.flatten(inputs)
        gradients = torch.autograd.grad(value, flat, create_graph=again, materialize_grads=True)
    return keras.tree.pack_sequence_as(inputs, list(gradients))


def _total(call, x, score):
    with Recording():  # what this pass records concerns no other loss
        return ops.sum(score(call(x)))


def _without_state(model):
    """The model's inference on JAX, where a step's new state is still a function of its weights.

    No gradient runs back through it, as none does through a variable on TensorFlow; and what the
    pass itself would write stays inside.
    """
    trained = [variable.value for variable in model.trainable_variables]
    state = [ops.stop_gradient(variable.value) for variable in model.non_trainable_variables]
    return lambda x: model.stateless_call(trained, state, own_inputs(x, model), training=False)[0]

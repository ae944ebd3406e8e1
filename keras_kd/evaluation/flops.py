"""Floating-point operations of one forward pass."""

import math

import keras
from keras import ops

from keras_kd.features.undisturbed import modes_kept, without_graph
from keras_kd.lazy_modules import tf

# What these do is not in the graph, or is done a number of times that the graph does not say.
_HIDDEN = ("While", "If", "Case", "PartitionedCall", "CudnnRNN", "CudnnRNNV2", "CudnnRNNV3")
_PRODUCTS = ("Conv", "DepthwiseConv", "MatMul", "BatchMatMul", "Einsum")
# What PyTorch's counter does not look into: what runs whole recurrent layers, and what runs
# attention on a CPU.
_ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"
_RECURRENT = ("mkldnn_rnn_layer", "_cudnn_rnn", "miopen_rnn", "_lstm_mps")


def count_flops(model: keras.Model, inputs) -> int | None:
    """Counts the floating-point operations of one forward pass; a multiply-add counts as two.

    On TensorFlow the profiler counts, on JAX the cost analysis of XLA, on PyTorch its own counter.
    They differ by some per cent: XLA leaves out multiplications with padding and includes
    activations, PyTorch counts products of matrices and convolutions alone.

    Args:
        model: A built model.
        inputs: A batch of one example, an array or a structure of arrays.

    Returns:
        The number, or `None` where it cannot be known: on other backends, for a model that is
        told to run eagerly, and for loops and branches (recurrent layers that are not unrolled;
        on PyTorch, where Keras unrolls them itself, `torch.nn.LSTM` and its like).
    """
    if model.run_eagerly:
        return None
    counters = {
        "tensorflow": _count_with_profiler,
        "jax": _count_with_xla,
        "torch": _count_with_torch,
    }
    counter = counters.get(keras.backend.backend())
    return counter(model, inputs) if counter else None


def _count_with_profiler(model, inputs):

    profiler = tf.compat.v1.profiler
    tensors = keras.tree.map_structure(tf.convert_to_tensor, inputs)
    specs = keras.tree.map_structure(tf.TensorSpec.from_tensor, tensors)
    forward = tf.function(lambda x: model(x, training=False), autograph=False)
    eagerly = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)  # traces functions inside the model into one graph
    try:
        graph = forward.get_concrete_function(specs).graph
    finally:
        tf.config.run_functions_eagerly(eagerly)
    if not all(_is_countable(operation) for operation in graph.get_operations()):
        return None
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
    logger, level = tf.get_logger(), tf.get_logger().level
    logger.setLevel("ERROR")  # the profiler warns that it is of TensorFlow 1; there is no other
    try:
        profile = profiler.profile(graph, cmd="op", options=options.with_empty_output().build())
    finally:
        logger.setLevel(level)
    einsums = [operation for operation in graph.get_operations() if operation.type == "Einsum"]
    return profile.total_float_ops + sum(map(_einsum_flops, einsums))


def _is_countable(operation):
    if operation.type.removeprefix("Stateless").removeprefix("Stateful") in _HIDDEN:
        return False
    if not operation.type.startswith(_PRODUCTS):
        return True
    if operation.type == "Einsum" and b"." in operation.get_attr("equation"):
        return False
    tensors = [*operation.inputs, *operation.outputs]
    return all(tensor.shape.is_fully_defined() for tensor in tensors)


def _einsum_flops(operation):
    """The profiler does not know Einsum, which attention is made of."""
    equation = operation.get_attr("equation").decode()
    sizes = {}
    for term, tensor in zip(equation.split("->")[0].split(","), operation.inputs, strict=True):
        sizes.update(zip(term, tensor.shape.as_list(), strict=True))
    return 2 * math.prod(sizes.values())


def _count_with_xla(model, inputs):
    import jax

    x = keras.tree.map_structure(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), inputs)

    def forward(values, x):
        with keras.StatelessScope(state_mapping=list(zip(model.variables, values, strict=True))):
            return model(x, training=False)

    lowered = jax.jit(forward).lower([variable.value for variable in model.variables], x)
    program = lowered.as_text()
    if "stablehlo.while" in program or "stablehlo.case" in program:
        return None
    analysis = lowered.cost_analysis()
    return int(analysis["flops"]) if analysis and "flops" in analysis else None


def _count_with_torch(model, inputs):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    hidden = []

    def recurrent(*_, **__):
        hidden.append(True)
        return 0

    formulas = {_ATTENTION: _attention_flops, **dict.fromkeys(_RECURRENT, recurrent)}
    known = {name: getattr(torch.ops.aten, name, None) for name in formulas}
    counter = FlopCounterMode(
        display=False,
        custom_mapping={known[name]: formula for name, formula in formulas.items() if known[name]},
    )
    tensors = keras.tree.map_structure(ops.convert_to_tensor, inputs)
    with modes_kept(model), without_graph(), counter:
        model(tensors, training=False)
    return None if hidden else counter.get_total_flops()


def _attention_flops(query, key, value, *_, **__):
    """Of the scores and of mixing the values, from the shapes `(B, heads, length, size)`."""
    return 2 * math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])

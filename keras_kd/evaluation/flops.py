"""Floating-point operations of one forward pass."""

import math

import keras

from keras_kd.lazy_modules import tf

# What these do is not in the graph, or is done a number of times that the graph does not say.
_HIDDEN = ("While", "If", "Case", "PartitionedCall", "CudnnRNN", "CudnnRNNV2", "CudnnRNNV3")
_PRODUCTS = ("Conv", "DepthwiseConv", "MatMul", "BatchMatMul", "Einsum")


def count_flops(model: keras.Model, inputs) -> int | None:
    """Counts the floating-point operations of one forward pass; a multiply-add counts as two.

    On TensorFlow the profiler counts, on JAX the cost analysis of XLA. The two differ by some
    per cent: XLA leaves out multiplications with padding and includes activations.

    Args:
        model: A built model.
        inputs: A batch of one example, an array or a structure of arrays.

    Returns:
        The number, or `None` where it cannot be known: on other backends, for a model that runs
        eagerly, and for loops and branches (recurrent layers that are not unrolled).
    """
    if model.run_eagerly:
        return None
    counters = {"tensorflow": _count_with_profiler, "jax": _count_with_xla}
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

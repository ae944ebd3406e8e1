"""Files of one linear model, x @ kernel + bias, made without Keras and without keras_kd."""

import numpy as np

KERNEL = np.random.default_rng(5).normal(size=(4, 3)).astype("float32")
BIAS = np.array([0.5, -0.25, 1.0], "float32")
WEIGHTS_BYTES = 4 * (4 * 3 + 3)


def linear_module(kernel=KERNEL, bias=BIAS, batch_size=None):
    """A `tf.Module` with one signature from `x` to `scores`."""
    import tensorflow as tf

    module = tf.Module()
    module.kernel, module.bias = tf.Variable(kernel), tf.Variable(bias)
    spec = tf.TensorSpec((batch_size, len(kernel)), tf.float32, name="x")
    module.call = tf.function(
        lambda x: {"scores": x @ module.kernel + module.bias}, input_signature=[spec]
    )
    return module


def write_saved_model(folder, **kwargs):
    import tensorflow as tf

    module = linear_module(**kwargs)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call})
    return folder


def write_tflite(path, examples=None, **kwargs):
    """With examples, a file of int8 throughout, its inputs and outputs among them."""
    import tensorflow as tf

    module = linear_module(**kwargs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.call.get_concrete_function()], module
    )
    if examples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row[None]] for row in examples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())
    return path


def write_onnx(path, kernel=KERNEL, bias=BIAS, batch_size="batch", dtype="float32"):
    import onnx
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    stored = {"kernel": kernel.astype(dtype), "bias": bias.astype(dtype)}
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "kernel", "bias"], ["scores"])],
        "linear",
        [helper.make_tensor_value_info("x", kind, [batch_size, len(kernel)])],
        [helper.make_tensor_value_info("scores", kind, [batch_size, len(bias)])],
        [onnx.numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path

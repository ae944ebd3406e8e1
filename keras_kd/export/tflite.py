"""LiteRT (TensorFlow Lite) files."""

import itertools

from keras_kd.export.export_format import ExportFormat, Runtime
from keras_kd.export.tolerance import EIGHT_BITS, FLOAT16, FLOAT32
from keras_kd.lazy_modules import tf
from keras_kd.runtimes.litert_file import LiteRTFile

_CALIBRATION_EXAMPLES = 500


class TFLiteFormat(ExportFormat):
    """A `.tflite` file, run by a `LiteRTFile`.

    - Only LiteRT's built-in operations are used: a file with TensorFlow operations in it would not
      run in the plain runtime.
    - Recurrent layers convert for batches of 1 only, unless built with `unroll=True`.
    - int8: weights and activations are int8; what goes in and comes out stays float32 (integers
      stay integers), so that callers need not know scales and zero points.
    """

    name = "tflite"
    suffix = ".tflite"
    quantizations = ("float16", "dynamic", "int8")
    backends = ("tensorflow",)
    takes_strings = False
    packages = ("ai_edge_litert.interpreter",)

    def tolerance(self, quantize):
        """See `ExportFormat`."""
        return {None: FLOAT32, "float16": FLOAT16}.get(quantize, EIGHT_BITS)

    def write(self, student, inputs, path, quantize, examples):
        """See `ExportFormat`."""
        recurrent = _has_tensor_lists(student, inputs)
        if recurrent and quantize == "int8":
            raise ValueError(
                "TensorFlow cannot calibrate the loops of recurrent layers for int8 (its "
                "calibrator crashes). Build them with `unroll=True`, or use "
                "`quantize='dynamic'`."
            )
        student.export(
            str(path),
            format="litert",
            verbose=False,
            input_signature=inputs.signature(batch_size=1 if recurrent else None),
            **_converter_options(quantize, examples),
        )

    def load(self, path, student, inputs):
        """See `ExportFormat`."""
        file = LiteRTFile(path)
        return Runtime(file.run, file.batch_size)


def _converter_options(quantize, examples):

    operations = tf.lite.OpsSet.TFLITE_BUILTINS
    options = {} if quantize is None else {"optimizations": [tf.lite.Optimize.DEFAULT]}
    target = {}
    if quantize == "float16":
        target["supported_types"] = [tf.float16]
    if quantize == "int8":
        operations = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        options["representative_dataset"] = lambda: itertools.islice(
            examples(), _CALIBRATION_EXAMPLES
        )
    return {**options, "target_spec": {"supported_ops": [operations], **target}}


def _has_tensor_lists(student, inputs):
    """Whether the student's graph grows tensors in a loop, as rolled recurrent layers do."""

    function = tf.function(lambda x: student(x, training=False), autograph=False)
    graph = function.get_concrete_function(*inputs.signature()).graph.as_graph_def()
    nodes = itertools.chain(graph.node, *(body.node_def for body in graph.library.function))
    return any(node.op.startswith("TensorList") for node in nodes)

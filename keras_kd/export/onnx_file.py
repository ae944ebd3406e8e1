"""ONNX files."""

import functools

from keras_kd.export.export_format import ExportFormat, Runtime
from keras_kd.runtimes.onnx_file import ONNXFile


class ONNXFormat(ExportFormat):
    """An `.onnx` file, run by an `ONNXFile`."""

    name = "onnx"
    suffix = ".onnx"
    backends = ("tensorflow",)
    takes_strings = False
    packages = ("tf2onnx", "onnx", "onnxruntime")

    def write(self, student, inputs, path, quantize, examples):
        """See `ExportFormat`."""
        _teach_erfc()
        student.export(str(path), format="onnx", verbose=False, input_signature=inputs.signature())

    def load(self, path, student, inputs):
        """See `ExportFormat`."""
        return Runtime(ONNXFile(path).run)


@functools.cache
def _teach_erfc():
    """Teaches tf2onnx the operation behind an exact GELU, which it does not know."""
    import numpy as np
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class Erfc:
        @classmethod
        def version_9(cls, ctx, node, **kwargs):
            dtype = ctx.get_dtype(node.output[0])
            shape = ctx.get_shape(node.output[0])
            [value], [output] = node.input, node.output
            ctx.remove_node(node.name)
            erf = ctx.make_node("Erf", [value], dtypes=[dtype], shapes=[shape])
            one = ctx.make_const(f"{node.name}_one", np.array(1.0, "float32"))
            ctx.make_node(
                "Sub",
                [one.output[0], erf.output[0]],
                outputs=[output],
                dtypes=[dtype],
                shapes=[shape],
            )

"""ONNX files."""

import functools

from keras_kd.export.export_format import ExportFormat, Runtime


class ONNXFormat(ExportFormat):
    """An `.onnx` file, run by onnxruntime."""

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
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        taken = [tensor.name for tensor in session.get_inputs()]
        given = [tensor.name for tensor in session.get_outputs()]
        named_outputs = not any(
            ":" in name for name in given
        )  # tf2onnx names a dict's outputs only

        def run(named):
            outputs = session.run(None, {name: named[name] for name in taken})
            return dict(zip(given, outputs, strict=True)) if named_outputs else outputs

        return Runtime(run)


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

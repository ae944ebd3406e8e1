"""Folders for TensorFlow Serving."""

from keras_kd.export.export_format import ExportFormat, Runtime
from keras_kd.runtimes.saved_model import SavedModel


class SavedModelFormat(ExportFormat):
    """A SavedModel, run by its signature `serving_default` in a `SavedModel`."""

    name = "saved_model"
    suffix = ""
    backends = ("tensorflow", "jax")
    packages = ("tensorflow",)
    patterns = "[]?*"  # TensorFlow looks for the variables' files by a pattern

    def write(self, student, inputs, path, quantize, examples):
        """See `ExportFormat`."""
        student.export(
            path, format="tf_saved_model", verbose=False, input_signature=inputs.signature()
        )

    def load(self, path, student, inputs):
        """See `ExportFormat`."""
        return Runtime(SavedModel(path).run)

"""Folders for TensorFlow Serving."""

import numpy as np

from keras_kd.export.export_format import ExportFormat, Runtime
from keras_kd.lazy_modules import tf


class SavedModelFormat(ExportFormat):
    """A SavedModel, run by its signature `serving_default`."""

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

        loaded = tf.saved_model.load(str(path))
        serve = loaded.signatures["serving_default"]
        # An input that the student never reads may be missing from the signature.
        dtypes = {name: spec.dtype for name, spec in serve.structured_input_signature[1].items()}

        def run(named, keep_alive=loaded):
            outputs = serve(**{name: tf.constant(named[name], dtypes[name]) for name in dtypes})
            return {name: np.asarray(value) for name, value in outputs.items()}

        return Runtime(run)

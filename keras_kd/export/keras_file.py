"""Keras' own files."""

import keras

from keras_kd.export.export_format import ExportFormat, Runtime
from keras_kd.features.nested_layers import custom_objects


class KerasFormat(ExportFormat):
    """A `.keras` file, run by `keras.saving.load_model`; it keeps the student's own precision."""

    name = "keras"
    suffix = ".keras"
    float32_only = False

    def write(self, student, inputs, path, quantize, examples):
        """See `ExportFormat`."""
        student.save(path)

    def load(self, path, student, inputs):
        """See `ExportFormat`."""
        loaded = keras.saving.load_model(
            path, custom_objects=custom_objects(student), compile=False, safe_mode=False
        )

        def run(named):
            return keras.Model.predict_on_batch(loaded, inputs.packed(named))

        return Runtime(run)

"""Packages that load when they are first used, so that `import keras_kd` does without them."""

import importlib
from typing import TYPE_CHECKING


class LazyModule:
    """Stands for a module until something of it is asked for.

    Args:
        name: The module's name.
        purpose: What needs it, for the error where it cannot be imported.
    """

    def __init__(self, name, purpose):
        self._name, self._purpose = name, purpose

    def __getattr__(self, attribute):
        if attribute.startswith("__"):  # what tools look for on everything that they see
            raise AttributeError(attribute)
        try:
            module = importlib.import_module(self._name)
        except ImportError as error:
            raise ImportError(
                f"{self._purpose} needs the package {self._name!r}, which cannot be imported here: "
                f"install it (`pip install {self._name.replace('_', '-')}`), or do this step where "
                "it is; the Distiller, its losses and callbacks and `compare` work without. "
                f"Received: {error}"
            ) from error
        return getattr(module, attribute)


if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds
else:
    tf = LazyModule(
        "tensorflow",
        "Labelling into a TeacherCache and replaying it as a tf.data.Dataset, keras_kd.data, and "
        "exporting to SavedModel or .tflite",
    )
    tfds = LazyModule("tensorflow_datasets", "Loading a data set of TensorFlow Datasets")

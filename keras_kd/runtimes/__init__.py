"""Exported files as functions over NumPy batches, each in its own runtime."""

from keras_kd.runtimes.exported_file import ExportedFile
from keras_kd.runtimes.litert_file import LiteRTFile
from keras_kd.runtimes.onnx_file import ONNXFile
from keras_kd.runtimes.open_file import open_file
from keras_kd.runtimes.saved_model import SavedModel

__all__ = ["ExportedFile", "LiteRTFile", "ONNXFile", "SavedModel", "open_file"]

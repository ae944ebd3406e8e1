"""Shipping a student: exports that are run and compared before they are called done."""

from keras_kd.export.export_mismatch_error import ExportMismatchError
from keras_kd.export.export_result import ExportResult
from keras_kd.export.export_student import export_student

__all__ = ["ExportMismatchError", "ExportResult", "export_student"]

"""The error of an export that is not the student."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_kd.export.export_result import ExportResult


class ExportMismatchError(ValueError):
    """An export whose outputs differ from the student's by more than its format allows.

    Args:
        message: What differs, and by how much.
        result: The `ExportResult` with the numbers, or `None` if outputs could not be compared.
            Its `path` is where the export would have stood; nothing is there.

    Example:

    ```python
    try:
        keras_kd.export_student(student, "student.tflite", quantize="int8", calibration_data=x)
    except keras_kd.export.ExportMismatchError as error:
        print(error.result.agreement)
    ```
    """

    def __init__(self, message: str, result: ExportResult | None = None) -> None:
        super().__init__(message)
        self.result = result

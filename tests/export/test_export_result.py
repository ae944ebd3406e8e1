import dataclasses
import pathlib

import pytest

from keras_kd.evaluation.latency import Latency
from keras_kd.export import ExportResult

pytestmark = pytest.mark.core
RESULT = ExportResult(
    path=pathlib.Path("s.tflite"),
    format="tflite",
    quantize="int8",
    size_bytes=12_345,
    max_difference=0.0123,
    agreement=0.99,
    metric="accuracy",
    student_metric=0.97,
    export_metric=0.96,
    latency=Latency(median=0.25, p95=0.5),
    examples=100,
    verified_on="verify_data",
)


def test_one_line_holds_the_numbers():
    assert str(RESULT) == (
        "s.tflite (tflite int8): 12.3 kB, largest difference 0.012, agreement 0.9900, "
        "accuracy 0.9700 -> 0.9600 (-0.0100), 0.25 ms at batch 1, "
        "checked on 100 examples of verify_data"
    )


def test_without_labels_the_line_has_no_metric():
    result = dataclasses.replace(
        RESULT, metric=None, student_metric=None, export_metric=None, quantize=None, batch_size=1
    )
    assert result.metric_change is None
    assert "->" not in str(result)
    assert str(result).startswith("s.tflite (tflite): ")
    assert str(result).endswith("takes batches of 1")

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from models_for_tests import inferred
from variants import first_of

from keras_kd.export import export_student


@first_of("quantize", [None, "float16", "dynamic"])  # the others are verified below
def test_file_runs_in_the_plain_runtime(quantize, classifier, images, tmp_path):
    path = tmp_path / "student.tflite"
    result = export_student(classifier, path, quantize=quantize, verify_data=images)
    run = Interpreter(str(path)).get_signature_runner()
    output = run(image=images[0])["output_0"]
    expected = inferred(classifier, images[0])
    np.testing.assert_allclose(output, expected, atol=1e-6 if quantize is None else 2e-3)
    assert result.batch_size is None


def test_int8_holds_int8_weights_and_activations_behind_float32_ends(classifier, images, tmp_path):
    path = tmp_path / "student.tflite"
    result = export_student(
        classifier, path, quantize="int8", calibration_data=images, verify_data=images
    )
    assert result.agreement >= 0.9 and 0 < result.max_difference < 0.05
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    [image], [scores] = interpreter.get_input_details(), interpreter.get_output_details()
    assert image["dtype"] == scores["dtype"] == np.float32
    ends = {image["index"], scores["index"]}
    inside = [t for t in interpreter.get_tensor_details() if t["index"] not in ends]
    # int32 are biases, axes and shapes
    assert {tensor["dtype"] for tensor in inside} <= {np.int8, np.int32}
    assert sum(tensor["dtype"] == np.int8 for tensor in inside) >= 6


def test_float16_and_dynamic_shrink_a_file_with_real_weights(tmp_path):
    student = keras.Sequential([keras.Input((64,)), keras.layers.Dense(256), keras.layers.Dense(4)])
    full = 4 * student.count_params()
    half, quarter = (
        export_student(student, tmp_path / f"{quantize}.tflite", quantize=quantize).size_bytes
        for quantize in ("float16", "dynamic")
    )
    assert half < 0.6 * full
    assert quarter < 0.4 * full


def test_int8_is_verified_on_calibration_data_where_nothing_else_is_given(two_by_two, tmp_path):
    model, x = two_by_two
    result = export_student(model, tmp_path / "s.tflite", quantize="int8", calibration_data=x)
    assert (result.verified_on, result.examples) == ("calibration_data", 9)


def test_recurrent_student_takes_one_example_at_a_time(tmp_path):
    inputs = keras.Input((5, 3))
    student = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GRU(4)(inputs)))
    x = np.random.default_rng(0).normal(size=(6, 5, 3))
    result = export_student(student, tmp_path / "s.tflite", verify_data=(x, x[:, 0, 0]))
    assert (result.batch_size, result.metric) == (1, "mean_absolute_error")
    assert result.max_difference < 1e-5
    with pytest.raises(ValueError, match="unroll=True"):
        export_student(student, tmp_path / "int8.tflite", quantize="int8", calibration_data=x)


def test_unrolled_recurrent_student_becomes_int8(tmp_path):
    inputs = keras.Input((2, 3))
    student = keras.Model(inputs, keras.layers.LSTM(4, unroll=True)(inputs))
    x = np.random.default_rng(0).normal(size=(40, 2, 3))
    result = export_student(student, tmp_path / "s.tflite", quantize="int8", calibration_data=x)
    assert result.batch_size is None

import keras
import numpy as np
import onnxruntime

from keras_kd.export import export_student


def test_file_runs_by_name(two_by_two, tmp_path):
    model, x = two_by_two
    export_student(model, tmp_path / "s.onnx", verify_data=x)
    session = onnxruntime.InferenceSession(str(tmp_path / "s.onnx"))
    floats = {name: array.astype("float32") for name, array in x.items()}
    wide, narrow = session.run(["wide", "narrow"], floats)
    expected = model(x)
    np.testing.assert_allclose(wide, expected["wide"], atol=1e-5)
    np.testing.assert_allclose(narrow, expected["narrow"], atol=1e-5)


def test_exact_gelu_is_written(tmp_path):
    student = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="gelu")])
    assert export_student(student, tmp_path / "s.onnx").max_difference < 1e-5


def test_recurrent_student_takes_any_batch(tmp_path):
    student = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4)])
    result = export_student(student, tmp_path / "s.onnx")
    assert result.batch_size is None and result.max_difference < 1e-5

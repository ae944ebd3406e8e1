import keras
import numpy as np
import pytest

from keras_kd.export import export_student

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif(
        keras.backend.backend() == "torch", reason="SavedModels are written from TensorFlow and JAX"
    ),
]
tf = pytest.importorskip("tensorflow")


def test_signature_bears_the_names_of_inputs_and_outputs(two_by_two, tmp_path):
    model, x = two_by_two
    export_student(model, tmp_path / "served", verify_data=x)
    serve = tf.saved_model.load(str(tmp_path / "served")).signatures["serving_default"]
    outputs = serve(**{name: tf.constant(array, "float32") for name, array in x.items()})
    expected = model(x)
    assert set(outputs) == {"wide", "narrow"}
    for name, value in outputs.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5)


def test_size_is_that_of_all_files_in_the_folder(classifier, tmp_path):
    result = export_student(classifier, tmp_path / "served")
    files = [path for path in (tmp_path / "served").rglob("*") if path.is_file()]
    assert result.size_bytes == sum(path.stat().st_size for path in files)

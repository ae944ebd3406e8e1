import keras
import numpy as np
import pytest

from keras_kd.export import export_student

pytestmark = pytest.mark.core


def test_file_loads_as_the_student(classifier, images, tmp_path):
    export_student(classifier, tmp_path / "s.keras", verify_data=images)
    loaded = keras.saving.load_model(tmp_path / "s.keras")
    found, expected = (keras.ops.convert_to_numpy(each(images[0])) for each in (loaded, classifier))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_precision_stays_the_students(tmp_path):
    student = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(2, dtype="mixed_bfloat16")], name="half"
    )
    export_student(student, tmp_path / "s.keras")
    loaded = keras.saving.load_model(tmp_path / "s.keras")
    assert loaded.layers[0].dtype_policy.name == "mixed_bfloat16"

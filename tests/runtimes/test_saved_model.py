import numpy as np
import pytest
from exported_files import BIAS, KERNEL, WEIGHTS_BYTES, linear_module, write_saved_model

from keras_kd.runtimes import SavedModel, open_file

tf = pytest.importorskip("tensorflow")
pytestmark = [pytest.mark.core, pytest.mark.alike]

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


def test_answers_and_bytes(tmp_path):
    folder = SavedModel(write_saved_model(tmp_path / "served"))
    np.testing.assert_allclose(folder(X.astype("float64"))["scores"], X @ KERNEL + BIAS, atol=1e-6)
    assert folder.weights_bytes == WEIGHTS_BYTES


def test_a_signature_of_another_name_is_taken_if_it_is_the_only_one(tmp_path):
    module = linear_module()
    tf.saved_model.save(module, str(tmp_path / "one"), signatures={"mine": module.call})
    assert open_file(tmp_path / "one").output_names == ("scores",)
    both = {"mine": module.call, "other": module.call}
    tf.saved_model.save(module, str(tmp_path / "two"), signatures=both)
    with pytest.raises(ValueError, match=r"'serving_default'.*Available: \['mine', 'other'\]"):
        open_file(tmp_path / "two")


def test_strings_go_in_and_frozen_weights_are_not_counted(tmp_path):
    module = tf.Module()
    spec = tf.TensorSpec((None,), tf.string, name="text")
    module.call = tf.function(
        lambda text: {"length": tf.strings.length(text)}, input_signature=[spec]
    )
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.call)
    folder = SavedModel(tmp_path / "m")
    assert folder(np.array(["one", "three"]))["length"].tolist() == [3, 5]
    assert folder.weights_bytes is None

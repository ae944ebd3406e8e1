import numpy as np
import pytest
from exported_files import BIAS, KERNEL, WEIGHTS_BYTES, write_tflite

from keras_kd.runtimes import LiteRTFile

pytest.importorskip("ai_edge_litert")
pytest.importorskip("tensorflow")
pytestmark = [pytest.mark.core, pytest.mark.alike]

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


@pytest.mark.parametrize("batch_size", [None, 1, 3])
def test_answers_and_bytes(batch_size, tmp_path):
    file = LiteRTFile(write_tflite(tmp_path / "m.tflite", batch_size=batch_size))
    np.testing.assert_allclose(file(X)["scores"], X @ KERNEL + BIAS, atol=1e-6)
    assert (file.batch_size, file.weights_bytes) == (batch_size, WEIGHTS_BYTES)
    assert [len(rows["x"]) for rows in file.batches(X)] == (
        {None: [5], 1: [1] * 5, 3: [3, 3]}[batch_size]
    )

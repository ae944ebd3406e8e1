"""Keras' TensorBoard callback beside a Distiller."""

import keras
import pytest
from models_for_tests import EAGER, distiller, examples, net

pytest.importorskip("tensorboard")


def test_it_writes_what_the_distiller_logs(tmp_path):
    x, y = examples()
    model = distiller(net(), net(8, seed=1), compiled=EAGER)
    board = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1)
    model.fit(x, y, epochs=2, verbose=0, validation_data=(x, y), callbacks=[board])
    written = b"".join(file.read_bytes() for file in (tmp_path / "train").iterdir())
    assert b"epoch_kd_loss" in written and b"epoch_student_loss" in written
    assert list((tmp_path / "validation").iterdir())

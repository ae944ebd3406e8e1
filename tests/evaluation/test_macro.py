import keras
import numpy as np
import pytest

from keras_kd.evaluation.macro import macro_precision_recall_f1

pytestmark = [pytest.mark.core, pytest.mark.alike]


def test_macro_figures_from_counts_done_by_hand():
    metric = keras.metrics.F1Score(average="macro", threshold=0.5)
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]], "float32")
    said = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0]], "float32")
    metric.update_state(truth, said)
    found = macro_precision_recall_f1(metric)
    # class 0: 2 of 3 said are right, 2 of 2 are found; class 1: 1 of 1, 1 of 2; class 2: nothing.
    assert found["precision"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["recall"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert found["f1"] == pytest.approx((4 / 5 + 2 / 3 + 0) / 3)

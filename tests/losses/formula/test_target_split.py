import numpy as np
import pytest
from gradients import float64
from keras import ops

from keras_kd.losses.formula.target_split import target_mask, target_split

pytestmark = pytest.mark.core


def split(logits, labels):
    with float64():
        logits = ops.convert_to_tensor(logits, dtype="float64")
        target, _ = target_mask("my_loss", labels, logits)
        return [ops.convert_to_numpy(value) for value in target_split(logits, target)]


def test_a_softmax_is_split_into_its_target_and_the_others():
    logit, others = split(np.log([[0.5, 0.375, 0.125]]), [1])
    np.testing.assert_allclose(logit, [np.log(0.375 / 0.625)], rtol=1e-12)
    np.testing.assert_allclose(others, [[np.log(0.8), 0.0, np.log(0.2)]], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_a_softmax_with_a_gap_of_60000_is_split_exactly(label):
    logits = np.array([60000.0, -60000.0, 59990.0])
    logit, others = split(logits[None], [label])
    logits -= 60000.0  # for NumPy to be exact
    rest = np.delete(logits, label)
    of_rest = rest.max() + np.log(np.exp(rest - rest.max()).sum())
    np.testing.assert_allclose(logit, [logits[label] - of_rest], rtol=1e-12)
    np.testing.assert_allclose(np.delete(others[0], label), rest - of_rest, rtol=1e-12, atol=1e-12)


def test_one_class_has_no_others():
    with pytest.raises(ValueError, match=r"two classes or more.*Received: student=\(3, 1\)"):
        split(np.zeros((3, 1)), [0, 0, 0])

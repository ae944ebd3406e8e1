import keras
import numpy as np
import pytest

from keras_kd.evaluation.flops import count_flops

layers = keras.layers

pytestmark = pytest.mark.core

# Activations, biases and padding are counted differently by the two counters.
TOLERANCE = 0.2


def variant(*values):
    """A layer that another backend counts as the others."""
    return pytest.param(*values, marks=pytest.mark.alike)


def model_of(shape, *stack):
    return keras.Sequential([keras.Input(shape), *stack])


@pytest.mark.parametrize(
    ("shape", "layer", "products"),
    [
        ((64,), layers.Dense(32), 64 * 32),
        variant((16, 16, 3), layers.Conv2D(8, 3), 14 * 14 * 8 * 27),
        ((16, 16, 8), layers.Conv2D(8, 3, groups=4), 14 * 14 * 8 * 18),
        variant((16, 16, 8), layers.DepthwiseConv2D(3), 14 * 14 * 8 * 9),
        variant((20, 8), layers.Conv1D(16, 3), 18 * 16 * 24),
        variant((8, 8, 8, 2), layers.Conv3D(4, 3), 6**3 * 4 * 54),
    ],
)
def test_multiply_adds_count_as_two(shape, layer, products):
    inputs = np.ones((1, *shape), "float32")
    found = count_flops(model_of(shape, layer), inputs)
    assert found == pytest.approx(2 * products, rel=TOLERANCE)


@pytest.mark.alike
def test_attention_counts_projections_scores_and_mixing():
    inputs = keras.Input((24, 32))
    model = keras.Model(inputs, layers.MultiHeadAttention(4, 8)(inputs, inputs))
    products = 4 * 24 * 32 * 32 + 2 * 24 * 24 * 32
    found = count_flops(model, np.ones((1, 24, 32), "float32"))
    assert found == pytest.approx(2 * products, rel=TOLERANCE)


@pytest.mark.alike
def test_length_that_the_model_leaves_open_is_that_of_the_example():
    model = model_of((None, 16), layers.Dense(64))
    short, long = (count_flops(model, np.ones((1, n, 16), "float32")) for n in (8, 16))
    assert short == pytest.approx(2 * 8 * 16 * 64, rel=TOLERANCE)
    assert long == 2 * short


def test_subclassed_model_with_dict_inputs_is_counted():
    class Custom(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(64)

        def call(self, inputs):
            return self.dense(inputs["a"]) + inputs["b"]

    model, inputs = Custom(), {"a": np.ones((1, 64)), "b": np.ones((1, 1))}
    model(inputs)
    assert count_flops(model, inputs) == pytest.approx(2 * 64 * 64, rel=TOLERANCE)


def test_what_cannot_be_known_is_none():
    inputs = np.ones((1, 6, 16), "float32")
    unrolled = count_flops(model_of((6, 16), layers.LSTM(8, unroll=True)), inputs)
    assert unrolled >= 2 * 6 * 24 * 32
    # On PyTorch Keras runs the loop in Python, so every step is seen.
    known = unrolled if keras.backend.backend() == "torch" else None
    assert count_flops(model_of((6, 16), layers.LSTM(8)), inputs) == known
    eager = model_of((6, 16), layers.Dense(2))
    eager.compile(run_eagerly=True)
    assert count_flops(eager, inputs) is None


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="modules are PyTorch's")
def test_a_pytorch_module_is_counted_but_for_its_recurrent_layers():
    import torch

    def wrapped(module, shape):
        return count_flops(
            model_of(shape, layers.TorchModuleWrapper(module)), np.ones((1, *shape), "float32")
        )

    assert wrapped(torch.nn.Linear(16, 4), (16,)) == 2 * 16 * 4

    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(16, 8, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[0]

    assert wrapped(Last(), (6, 16)) is None

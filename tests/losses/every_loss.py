"""Every loss that the library offers, and how the tests draw values for it."""

import hypothesis
import keras
import numpy as np
import pytest
from gradients import FLOAT64_STAYS, compiled, float64
from variants import alike_but_first

from keras_kd import losses
from keras_kd.losses.response_loss import ResponseLoss

ON_JAX = keras.backend.backend() == "jax"

# The losses that compare any two values of one shape; those of other values inherit `contract.py`.
NAMES = (
    "ATLoss",
    "BinaryKDLoss",
    "BoundedRegressionLoss",
    "CosineFeatureLoss",
    "FitNetLoss",
    "HardLabelLoss",
    "KDLoss",
    "LogitsMSELoss",
    "RegressionLoss",
    "SoftCrossEntropyLoss",
)
CLASSES = [getattr(losses, name) for name in NAMES]
RESPONSE = [cls for cls in CLASSES if issubclass(cls, ResponseLoss)]
FROM_PROBABILITIES = [cls for cls in RESPONSE if cls is not losses.LogitsMSELoss]


# Of what the base classes do for any loss these three show all kinds: one value a sample and a
# mask of its own, labels, logits. The others walk the same code.
KINDS = (losses.ATLoss, losses.BoundedRegressionLoss, losses.KDLoss)


def some_alike(classes, *shapes):
    """Parameters of which those of other kinds or shapes are `alike` on every backend."""
    return [
        pytest.param(cls, *shape, marks=[] if stands else pytest.mark.alike)
        for cls in classes
        for number, shape in enumerate(shapes or [()])
        for stands in [cls in KINDS and number == 0]
        if cls is not losses.ATLoss or not shape or len(*shape) > 2
    ]


every_loss = pytest.mark.parametrize("cls", some_alike(CLASSES))
every_response_loss = pytest.mark.parametrize("cls", some_alike(RESPONSE))

# A formula is held against NumPy as exactly as the backend computes; the other dtype and another
# draw walk the same code.
EXACT, OTHER = ("float64", "float32") if FLOAT64_STAYS else ("float32", "float64")
in_both_dtypes = pytest.mark.parametrize(
    "dtype", [EXACT, pytest.param(OTHER, marks=pytest.mark.slow)]
)
two_seeds = pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
# Batches as long as a sequence or as high as a map, a batch of one, vectors, other maps. The first
# has all kinds of axes: a formula that a backend computes right there it computes so of the others.
SHAPES = [(3, 3, 5), (1, 3), (4, 7), (2, 3, 4, 5), (3, 3, 3, 2)]
every_shape = alike_but_first("shape", SHAPES, ids=str)
every_map_shape = alike_but_first("shape", [s for s in SHAPES if len(s) > 2], ids=str)

every_loss_and_shape = pytest.mark.parametrize(
    ("cls", "shape"), some_alike(CLASSES, *((shape,) for shape in SHAPES))
)


# Few examples, the same ones in each run, no stopwatch: the machines of CI are slow and shared.
def properties(test):
    """For a property of a formula, which has it on every backend."""
    settings = hypothesis.settings(max_examples=10, deadline=None, derandomize=True)
    return pytest.mark.alike(settings(test))


def draw(shape, seed=0, scale=2.0):
    """Teacher's and student's values."""
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=shape), scale * rng.normal(size=shape)


def sums_tokens(cls):
    """Whether a loss gives one value a sample, whatever axes the values have."""
    return issubclass(cls, losses.ATLoss | losses.CosineFeatureLoss | losses.FitNetLoss)


def labels_for(shape):
    """Labels for losses that ask for them; others leave them aside."""
    return np.random.default_rng(99).normal(size=shape)


def run(loss, teacher, student, *args, **context):
    """The loss' value as float64 NumPy; JAX compiles the loss whole."""
    with float64():
        if ON_JAX and _can_be_compiled(teacher, student, args, context):
            value = _compiled(loss, teacher, student, context)(teacher, student, args, context)
        else:
            value = loss(teacher, student, *args, **context)
        return np.asarray(keras.ops.convert_to_numpy(value), "float64")


def _can_be_compiled(teacher, student, args, context):
    """Whether these are arrays, all but what says which part or stage is meant."""
    given = [value for name, value in context.items() if name not in PYTHON]
    arrays = keras.tree.flatten([teacher, student, args, given])
    return all(isinstance(value, np.ndarray) for value in arrays)


def _compiled(loss, teacher, student, context):
    make_parts(loss, teacher, student, context)
    fixed = {name: value for name, value in context.items() if name in PYTHON}

    def call(teacher, student, args, arrays):
        return loss(teacher, student, *args, **arrays, **fixed)

    whole = compiled(call)

    def run(teacher, student, args, context):
        arrays = {name: value for name, value in context.items() if name not in PYTHON}
        return whole(teacher, student, args, arrays)

    if fixed or "part" in loss.asks:
        return run
    return _COMPILED.setdefault((type(loss), repr(loss.get_config())), run)


PYTHON = {"part", "stages"}
_COMPILED = {}


def make_parts(loss, teacher, student, context=()):
    """Makes the weights of a loss that is used alone, outside of what is compiled."""
    if "part" not in loss.asks or "part" in context:
        return
    pairs = [(teacher, student)]
    if isinstance(student, list | tuple) and not loss.joint:
        pairs = zip(teacher, student, strict=True)
    with float64():
        for number, pair in enumerate(pairs):
            loss._alone.part(number, *pair)


def assert_formula(loss, expected, teacher, student, *, rounding=1.0, **context):
    """Asserts that a loss made with reduction=None gives `expected`, and its default the mean.

    A logarithm, a square or a cosine of size 1 is known to a few units in the last place of the
    loss' dtype. `rounding` is what such an error is multiplied by, T^2 in the KD family.
    """
    unit = np.finfo(loss.dtype if FLOAT64_STAYS else "float32").eps
    tolerance = {
        "rtol": 100 * unit,
        "atol": 10 * unit * max(rounding, np.abs(expected).max()),
    }
    each = run(loss, teacher, student, **context)
    assert each.shape == expected.shape
    np.testing.assert_allclose(each, expected, **tolerance)
    default = type(loss).from_config({**loss.get_config(), "reduction": "sum_over_batch_size"})
    mean = run(default, teacher, student, **context)
    np.testing.assert_allclose(mean, expected.mean(), **tolerance)

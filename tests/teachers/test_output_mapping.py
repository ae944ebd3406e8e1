import keras
import numpy as np
import pytest
from keras import ops
from models_for_tests import linear, log_softmax, net, softmax

from keras_kd import Distiller
from keras_kd.teachers import OutputMapping

pytestmark = pytest.mark.core
KINDS = ("temperature", "vector", "matrix", "net")
CLASSES = 4


def logits(scale=3.0, seed=0):
    return scale * np.random.default_rng(seed).normal(size=(5, CLASSES)).astype("float32")


def drawn(kind, seed=1, size=0.5):
    """A mapping with weights drawn around the identity, and these by name."""
    mapping = OutputMapping(kind, CLASSES, hidden=3)
    rng = np.random.default_rng(seed)
    for weight in mapping.weights:
        weight.assign(ops.convert_to_numpy(weight) + size * rng.normal(size=weight.shape))
    names = [weight.name for weight in mapping.weights]
    arrays = [np.asarray(weight, "float64") for weight in mapping.get_weights()]
    return mapping, dict(zip(names, arrays, strict=True))


def given(mapping, value):
    return np.asarray(ops.convert_to_numpy(mapping(value)), "float64")


def by_hand(kind, log_p, w):
    if kind == "temperature":
        return log_p / np.exp(w["log_temperature"])
    if kind == "vector":
        return w["scale"] * log_p + w["bias"]
    if kind == "matrix":
        return log_p + log_p @ w["kernel"] + w["bias"]
    hidden = np.tanh(log_p @ w["hidden_kernel"] + w["hidden_bias"])
    return log_p + hidden @ w["kernel"] + w["bias"]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_formula_and_begins_as_the_identity(kind):
    z = logits()
    begins = OutputMapping(kind, CLASSES)
    np.testing.assert_array_equal(given(begins, z), ops.convert_to_numpy(ops.log_softmax(z)))
    mapping, weights = drawn(kind)
    np.testing.assert_allclose(
        given(mapping, z), by_hand(kind, log_softmax(z), weights), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_log_probabilities_are_mapped_to_the_same(kind):
    z, (mapping, _) = logits(), drawn(kind)
    expected = softmax(given(mapping, z))
    for alike in (z + 7.0, log_softmax(z).astype("float32")):
        np.testing.assert_allclose(softmax(given(mapping, alike)), expected, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_masked_class_stays_masked_and_nobody_else_hears_how_far_it_is(kind):
    z, (mapping, _) = logits(), drawn(kind)
    found = []
    for lowest in (-1e30, -1e4):
        z[:, 1] = lowest
        found.append(softmax(given(mapping, z)))
    np.testing.assert_array_equal(found[0][:, 1], 0.0)
    np.testing.assert_array_equal(*found)


def test_half_precision_is_mapped_in_float32():
    mapping, _ = drawn("vector")
    found = mapping(ops.cast(logits(), "float16"))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"


def test_tokens_are_mapped_one_by_one():
    mapping, _ = drawn("net")
    z = logits()
    np.testing.assert_allclose(given(mapping, z[None])[0], given(mapping, z), rtol=1e-5)


@pytest.mark.alike
@pytest.mark.parametrize("kind", KINDS)
def test_keras_saves_it(kind, tmp_path):
    mapping, _ = drawn(kind)
    keras.Sequential([keras.Input((CLASSES,)), mapping]).save(tmp_path / "mapping.keras")
    again = keras.saving.load_model(tmp_path / "mapping.keras").layers[-1]
    assert again.get_config() == mapping.get_config()
    np.testing.assert_array_equal(given(again, logits()), given(mapping, logits()))


@pytest.mark.alike
def test_a_teacher_that_ends_in_it_is_known_to_return_logits():
    mapped = keras.Sequential([net(classes=3), OutputMapping("temperature", 3)])
    term = Distiller(net(2), mapped).output_terms[0]
    assert term._kinds["teacher_from_logits"] is True


def test_its_temperature_is_a_number():
    mapping = OutputMapping("temperature", 2)
    mapping.log_temperature.assign(np.log(2.5))
    assert mapping.temperature == pytest.approx(2.5)
    with pytest.raises(ValueError, match="Received: kind='vector'"):
        OutputMapping("vector", 2).temperature  # noqa: B018


@pytest.mark.alike
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kind": "linear"}, ValueError, "Received: kind='linear'"),
        ({"classes": 1}, ValueError, "Received: classes=1"),
        ({"classes": 2.0}, TypeError, "Received: classes=2.0"),
        ({"hidden": 0}, ValueError, "Received: hidden=0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        OutputMapping(**{"kind": "net", "classes": 3, **arguments})


@pytest.mark.alike
def test_other_classes_than_its_own_are_refused():
    with pytest.raises(ValueError, match=r"over 4 classes.* Received: logits of shape \(5, 3\)"):
        OutputMapping("matrix", 4)(logits()[:, :3])
    with pytest.raises(ValueError, match="over 4 classes"):
        keras.Sequential([linear(np.eye(3)), OutputMapping("matrix", 4)])

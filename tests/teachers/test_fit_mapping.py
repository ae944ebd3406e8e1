import keras
import numpy as np
import pytest
from keras import ops
from models_for_tests import heads, linear, log_softmax, softmax
from variants import first_of

from keras_kd.teachers import OutputMapping, fit_mapping

pytestmark = pytest.mark.core
CLASSES = 3


def overconfident(count=400, times=3.0, shift=0.0, seed=0):
    """Logits that are `times` too sure of themselves, and labels drawn from the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(count, CLASSES)) + shift
    noise = -np.log(-np.log(rng.uniform(size=truth.shape)))
    labels = (truth + noise).argmax(-1)  # Gumbel's trick
    return (times * (truth - shift)).astype("float32"), labels


def nll(logits, labels):
    return -log_softmax(logits)[np.arange(len(labels)), labels].mean()


def best_temperature(logits, labels):
    """The least of the likelihood in 1/T, which is convex, by sections in float64."""
    low, high = 1e-3, 10.0
    for _ in range(200):
        a, b = low + (high - low) / 3.0, high - (high - low) / 3.0
        if nll(a * logits.astype("float64"), labels) < nll(b * logits.astype("float64"), labels):
            high = b
        else:
            low = a
    return 2.0 / (low + high)


def weights_of(mapping):
    return [np.asarray(ops.convert_to_numpy(weight)) for weight in mapping.weights]


def fitted(data, kind="temperature", **kwargs):
    """What a mapping becomes in a few steps."""
    mapping = OutputMapping(kind, CLASSES)
    fit_mapping(mapping, data, **{"steps": 6, "validation_split": 0.0, **kwargs})
    return np.concatenate([np.ravel(weight) for weight in weights_of(mapping)])


@first_of("times", [3.0, 0.1, 10.0])
def test_the_temperature_is_the_best_one(times):
    logits, labels = overconfident(times=times)
    mapping = OutputMapping("temperature", CLASSES)
    found = fit_mapping(mapping, (logits, labels))
    best = best_temperature(logits, labels)
    assert best == pytest.approx(times, rel=0.2)
    assert mapping.temperature == pytest.approx(best, rel=1e-4)
    assert found.nll == pytest.approx(nll(logits / best, labels), abs=1e-6)
    assert found.identity_nll == pytest.approx(nll(logits, labels), rel=1e-5)
    assert (found.judged, found.steps) == (len(labels), 400)


@pytest.mark.alike
@first_of("kind", ["vector", "matrix", "net"])
def test_what_is_wrong_class_by_class_is_put_right(kind):
    # The teacher does not know that the first class is far more frequent than it thinks.
    shift = np.array([2.0, 0.0, -1.0])
    logits, labels = overconfident(1500, times=1.0, shift=shift)
    mapping = OutputMapping(kind, CLASSES)
    found = fit_mapping(mapping, (logits, labels), steps=100)
    assert found.judged == 300
    fresh, wanted = overconfident(1500, times=1.0, shift=shift, seed=1)
    mapped = np.asarray(ops.convert_to_numpy(mapping(fresh)))
    assert found.nll < found.identity_nll - 0.2
    assert nll(mapped, wanted) < nll(fresh + shift, wanted) + 0.03


@pytest.mark.alike
def test_a_mapping_that_learns_noise_by_heart_stays_as_it_was():
    # Labels that the outputs say nothing of: any change is for the worse on others.
    logits = 1e-3 * np.random.default_rng(0).normal(size=(40, CLASSES))
    mapping = OutputMapping("net", CLASSES, hidden=8)
    settings = {"steps": 40, "learning_rate": 0.5, "validation_split": 0.5}
    found = fit_mapping(mapping, (logits, np.arange(40) % CLASSES), **settings)
    assert found.nll <= found.identity_nll + 1e-6


@pytest.mark.alike
def test_one_that_goes_on_never_gets_worse():
    logits, labels = overconfident(60, times=1.0)
    mapping = OutputMapping("matrix", CLASSES)
    before = fit_mapping(mapping, (logits, labels), steps=40)
    kept = weights_of(mapping)
    after = fit_mapping(mapping, (logits, labels), steps=20, learning_rate=50.0)
    assert after.nll <= before.nll
    if after.nll == before.nll:
        for one, other in zip(kept, weights_of(mapping), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.alike
def test_a_teacher_its_outputs_and_what_a_cache_carries_teach_the_same():
    z, labels = overconfident(30)
    x = np.eye(30, dtype="float32")
    teacher, probabilities = linear(z), linear(z, activation="softmax")
    expected = fitted((z, labels))
    order = np.argsort(-z, axis=-1)[:, :2]
    log_p = np.take_along_axis(log_softmax(z), order, axis=-1)
    rest = np.log1p(-np.exp(log_p).sum(-1))
    top_k = {"log_probabilities": log_p, "indices": order, "log_rest": rest}
    for data, kwargs in [
        ((x, labels), {"teacher": teacher}),
        ((x, labels), {"teacher": probabilities}),
        ((x, np.eye(CLASSES)[labels]), {"teacher": teacher}),
        ((softmax(z), labels[:, None]), {"from_logits": False}),
        (({"inputs": x, "teacher_outputs": z}, labels), {}),
        (({"inputs": x, "teacher_outputs": {"probabilities": softmax(z)}}, labels), {}),
        (({"inputs": x, "teacher_outputs": top_k}, labels), {}),
    ]:
        np.testing.assert_allclose(fitted(data, **kwargs), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.alike
def test_what_has_no_weight_or_is_masked_has_no_say():
    z, labels = overconfident(60)
    expected = fitted((z[:30], labels[:30]), kind="vector")
    tokens, tags = z.reshape(2, 30, CLASSES), labels.reshape(2, 30).copy()
    tags[1] = -1  # padding
    weights = np.stack([np.ones(30), np.zeros(30)])
    np.testing.assert_allclose(fitted((tokens, tags, weights), "vector"), expected, rtol=1e-5)
    masks = {"outputs": weights > 0}
    carried = {"inputs": tokens, "teacher_outputs": tokens, "teacher_masks": masks}
    np.testing.assert_allclose(fitted((carried, tags), "vector"), expected, rtol=1e-5)
    inputs = keras.Input((None, CLASSES))
    masking = keras.layers.Masking(5.0)(inputs)
    same = keras.layers.Dense(CLASSES, kernel_initializer="identity", name="scores")(masking)
    tokens[1] = 5.0
    found = fitted((tokens, tags), "vector", teacher=keras.Model(inputs, same))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("data", "kwargs", "message"),
    [
        (([[0.0, 1.0, 2.0]], [3]), {}, r"Labels from 0 to 2 .*Received: labels with \[3\]"),
        (([[0.0, 1.0, 2.0]], [-1]), {}, r"Received: labels with \[-1\]"),
        (([[0.0, 1.0, 2.0]], [0.5]), {}, "labels of classes.* Received: labels of shape"),
        (([[0.0, 1.0, 2.0]], [[0.5, 0.5, 0.0]]), {}, "labels of classes"),
        (([[0.0, 1.0, 2.0]], None), {}, "Received: labels=None"),
        (([[0.0, 1.5]], [0]), {}, r"Received: outputs of shape \(1, 2\), a mapping of 3"),
        (([0.0, 1.0], [0, 1]), {}, r"Received: outputs of shape \(2,\)"),
        (([[0.2, 0.3, 0.5]], [0]), {}, "look like probabilities"),
        (([[np.nan, 1.0, 2.0]], [0]), {}, "Received: NaN in 1 rows"),
        (([[0.0, 1.0, 2.0]], [0], [0.0]), {}, "Received: weights of 0 only"),
        (([[0.0, 1.0, 2.0]], [0]), {"validation_split": 0.5}, "leave examples on both sides"),
        (([[0.0, 1.0, 2.0]], [0]), {"validation_split": 1.0}, "Received: validation_split=1.0"),
        (([[0.0, 1.0, 2.0]], [0]), {"steps": 0}, "Received: steps=0"),
        (([[0.0, 1.0, 2.0]], [0]), {"from_logits": 1}, "Received: from_logits=1"),
    ],
)
def test_data_that_teach_nothing_are_refused(data, kwargs, message):
    data = tuple(None if part is None else np.array(part) for part in data)
    with pytest.raises(ValueError, match=message):
        fitted(data, **kwargs)


@pytest.mark.alike
def test_teachers_without_scores_of_classes_are_refused():
    x, y = np.ones((4, 4), "float32"), np.zeros(4, "int32")
    kernel = np.ones((4, 3))
    for teacher, message in [
        (linear(kernel, activation="relu"), "cannot be known .* Received: from_logits=None"),
        (linear(kernel, activation="sigmoid"), "ends in a sigmoid"),
        (heads(["a", "b"]), "Received: teacher .* with 2 outputs"),
    ]:
        with pytest.raises(ValueError, match=message):
            fitted((x, y), teacher=teacher)
    with pytest.raises(TypeError, match=r"Received: teacher='a\.keras'"):
        fitted((x, y), teacher="a.keras")


@pytest.mark.alike
def test_mappings_that_cannot_learn_are_refused():
    data = np.zeros((4, 3)), np.zeros(4, "int32")
    with pytest.raises(TypeError, match="`mapping` must be a built keras layer"):
        fit_mapping(keras.layers.Dense(3), data)
    frozen = OutputMapping("vector", 3, trainable=False)
    with pytest.raises(ValueError, match="trainable=False"):
        fit_mapping(frozen, data)

import keras
import numpy as np
import pytest
from every_loss import draw, run, some_alike
from formulas import log_softmax, softmax, spread, top_k_labels
from gradients import assert_gradient, gradient
from keras import ops
from models_for_tests import EAGER, assert_same_weights, distiller, net, sgd
from variants import of_compiled_steps

from keras_kd import losses
from keras_kd.losses.formula.top_k import dense_logits
from keras_kd.losses.response_loss import ResponseLoss
from keras_kd.losses.temperature_loss import TemperatureLoss

pytestmark = pytest.mark.core

PUBLIC = [getattr(losses, name) for name in losses.__all__]
RESPONSE = [cls for cls in PUBLIC if issubclass(cls, ResponseLoss)]
SOFTMAX = [
    cls
    for cls in RESPONSE
    if cls.activation == "softmax"
    and cls not in (losses.LogitsMSELoss, losses.MappedKDLoss)  # which has tests of its own
]
JIT = keras.backend.backend() == "jax"  # which would run operation by operation without it
OF_GROUPS = [losses.KDLoss, losses.SoftCrossEntropyLoss, losses.ReverseKDLoss, losses.HardLabelLoss]

every_softmax_loss = pytest.mark.parametrize("cls", some_alike(SOFTMAX))
every_loss_of_groups = pytest.mark.parametrize("cls", some_alike(OF_GROUPS))
every_size = pytest.mark.parametrize(
    ("shape", "k", "temperature"),
    [((4, 7), 1, 1.0), ((3, 5), 4, 4.0), ((2, 3, 5), 2, 4.0), ((2, 3, 4, 7), 3, 1.0)],
    ids=str,
)


def make(cls, temperature=4.0, **kwargs):
    if cls is losses.CTKDLoss:
        return cls(reversal_steps=10, initial=1.0 + temperature, **kwargs)
    if issubclass(cls, TemperatureLoss):
        kwargs["temperature"] = temperature
    return cls(**kwargs)


def context(loss, shape):
    if "labels" not in loss.asks:
        return {}
    return {"labels": np.random.default_rng(5).integers(0, shape[-1], shape[:-1])}


def by_definition(cls, logits, student, t):
    """The formulas over all classes, whatever the labels keep of them."""
    log_t, log_s = log_softmax(logits / t), log_softmax(student / t)
    if cls is losses.KDLoss:
        return t**2 * (np.exp(log_t) * (log_t - log_s)).sum(-1)
    if cls is losses.ReverseKDLoss:
        return t**2 * (np.exp(log_s) * (log_s - log_t)).sum(-1)
    if cls is losses.SoftCrossEntropyLoss:
        return -(t**2) * (np.exp(log_t) * log_s).sum(-1)
    choice = logits.argmax(-1)[..., None]
    return -np.take_along_axis(log_softmax(student), choice, -1)[..., 0]


@every_loss_of_groups
@every_size
@pytest.mark.alike
def test_top_k_labels_spread_what_remains_evenly(cls, shape, k, temperature):
    teacher, student = draw(shape)
    labels = top_k_labels(teacher, k)
    expected = by_definition(cls, spread(labels, shape[-1]), student, temperature)
    each = run(make(cls, temperature, reduction=None), labels, student)
    assert each.shape == shape[:-1]
    np.testing.assert_allclose(each, expected, rtol=1e-5, atol=1e-6 * temperature**2)


@every_softmax_loss
@pytest.mark.parametrize(
    ("k", "temperature"),
    [
        (3, 4.0),
        pytest.param(1, 1.0, marks=pytest.mark.slow),
        pytest.param(4, 4.0, marks=pytest.mark.slow),
    ],
)
@pytest.mark.alike
def test_every_softmax_loss_reads_top_k_labels_as_their_logits(cls, k, temperature):
    shape = (2, 3, 5)
    teacher, student = draw(shape)
    labels = top_k_labels(teacher, k)
    loss = make(cls, temperature, reduction=None)
    asked = context(loss, shape)
    expected = run(loss, spread(labels, 5), student, **asked)
    found = run(loss, labels, student, **asked)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * temperature**2)


@every_loss_of_groups
def test_gradients_of_top_k_labels_are_those_of_their_logits(cls):
    teacher, student = draw((4, 7))
    labels = top_k_labels(teacher, 3)
    loss = make(cls)
    expected = gradient(lambda z: loss(spread(labels, 7), z), student, "float32")
    found = gradient(lambda z: loss(labels, z), student, "float32")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("cls", [losses.KDLoss, losses.ReverseKDLoss])
def test_the_gradient_is_the_slope_of_the_values(cls):
    teacher, student = draw((2, 5))
    labels = top_k_labels(teacher, 2)
    loss = make(cls, 2.0, dtype="float64")
    assert_gradient(lambda z: loss(labels, z), student)


@pytest.mark.alike
@every_softmax_loss
def test_labels_of_all_classes_are_the_full_distribution(cls):
    teacher, student = draw((4, 6))
    labels = top_k_labels(teacher, 6)
    assert np.isneginf(labels["log_rest"]).all()
    loss = make(cls)
    asked = context(loss, (4, 6))
    expected = run(loss, log_softmax(teacher), student, **asked)
    labels["log_rest"][:2] = -200.0
    assert run(loss, labels, student, **asked) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("cls", some_alike([*OF_GROUPS, losses.DKDLoss, losses.JSDLoss]))
def test_a_teacher_that_is_certain_gives_finite_values_and_gradients(cls):
    labels = {
        "log_probabilities": np.array([[0.0, -np.inf], [0.0, -1000.0]]),
        "indices": np.array([[1, 0], [2, 3]]),
        "log_rest": np.array([-np.inf, -1000.0]),
    }
    _, student = draw((2, 5))
    loss = make(cls)
    asked = context(loss, (2, 5))
    assert np.isfinite(run(loss, labels, student, **asked))
    assert np.isfinite(gradient(lambda z: loss(labels, z, **asked), student, "float32")).all()


def test_a_small_rest_is_softened_as_it_is():
    # exp(-200 / 20) stays of a rest that no float32 probability holds.
    labels = {
        "log_probabilities": np.array([[0.0]]),
        "indices": np.array([[3]]),
        "log_rest": np.array([-200.0]),
    }
    _, student = draw((1, 6))
    expected = by_definition(losses.KDLoss, spread(labels, 6), student, 20.0)[0]
    assert run(losses.KDLoss(20.0), labels, student) == pytest.approx(expected, rel=1e-5)


def test_a_student_that_gives_probabilities_learns_from_top_k_labels():
    teacher, student = draw((3, 5))
    labels = top_k_labels(teacher, 2)
    loss = losses.KDLoss(student_from_logits=False)
    expected = run(losses.KDLoss(), labels, student)
    assert run(loss, labels, softmax(student)) == pytest.approx(expected, rel=1e-4)


def test_labels_in_half_precision_are_compared_in_float32():
    teacher, student = draw((3, 5))
    labels = top_k_labels(teacher, 2)
    for key in ("log_probabilities", "log_rest"):
        labels[key] = labels[key].astype("float16")
    wide = {key: labels[key].astype("float64") for key in ("log_probabilities", "log_rest")}
    student = student.astype("float16")
    logits = spread({**labels, **wide}, 5)
    expected = by_definition(losses.KDLoss, logits, student.astype("float64"), 4.0)
    value = run(losses.KDLoss(reduction=None), labels, student)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)


def test_a_formula_of_a_users_own_receives_logits():
    class Margin(losses.KDLoss):
        def call(self, teacher_value, student_value):
            return teacher_value[..., 0] - student_value[..., 0]

    teacher, student = draw((3, 5))
    labels = top_k_labels(teacher, 2)
    expected = spread(labels, 5)[..., 0] - student[..., 0]
    np.testing.assert_allclose(run(Margin(reduction=None), labels, student), expected, rtol=1e-5)


@pytest.mark.alike
@pytest.mark.parametrize(("lead", "k"), [((), 1), ((3,), 4), ((2, 1, 3), 3)], ids=str)
def test_dense_logits_has_any_leading_axes(lead, k):
    labels = top_k_labels(draw((*lead, 4))[0], k)
    expected = spread(labels, 4)
    found = ops.convert_to_numpy(dense_logits(labels, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_no_gradient_reaches_the_labels():
    teacher, student = draw((3, 5))
    labels = top_k_labels(teacher, 2)
    for loss in (losses.KDLoss(), losses.JSDLoss()):
        slope = gradient(
            lambda z, loss=loss: loss({**labels, "log_rest": z}, student),
            labels["log_rest"],
            "float32",
        )
        np.testing.assert_array_equal(slope, np.zeros(3))


# What is wrong.


@pytest.mark.alike
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log_rest": None}, r"keys \['log_probabilities', 'indices', 'log_rest'\].*keys="),
        ({"more": np.zeros(4)}, r"keys.*Received: keys=.*'more'"),
        ({"indices": np.zeros((4, 3), "int32")}, r"shapes.*Received: .*indices=\(4, 3\)"),
        ({"log_rest": np.zeros((4, 1))}, r"shapes.*Received: .*log_rest=\(4, 1\)"),
        ({"log_probabilities": np.zeros((3, 2))}, r"shapes.*log_probabilities=\(3, 2\)"),
        ({"indices": np.zeros((4, 2))}, r"integers.*Received: indices of float"),
        ({"indices": np.full((4, 2), 9)}, r"classes from 0 to 4"),
        ({"indices": np.full((4, 2), -1)}, r"classes from 0 to 4"),
    ],
)
@pytest.mark.parametrize("cls", [losses.KDLoss, losses.JSDLoss])
def test_wrong_labels_are_refused(cls, change, message):
    teacher, student = draw((4, 5))
    labels = {**top_k_labels(teacher, 2), **change}
    labels = {key: value for key, value in labels.items() if value is not None}
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make(cls)(labels, student)


@pytest.mark.alike
def test_more_labels_than_classes_are_refused():
    labels = top_k_labels(draw((4, 9))[0], 6)
    labels["indices"] = labels["indices"] % 5
    with pytest.raises(ValueError, match=r"more classes.*Received: k=6, student=\(4, 5\)"):
        losses.KDLoss()(labels, np.zeros((4, 5)))


@pytest.mark.alike
def test_labels_for_other_positions_are_refused():
    labels = top_k_labels(draw((4, 3, 5))[0], 2)
    with pytest.raises(ValueError, match=r"shapes.*student=\(4, 5\)"):
        losses.DKDLoss()(labels, np.zeros((4, 5)), labels=np.zeros(4))


@pytest.mark.alike
@pytest.mark.parametrize(
    "loss",
    [
        losses.BinaryKDLoss(),
        losses.BinaryKDLoss(teacher_from_logits=False),
        losses.LogitsMSELoss(),
        losses.RegressionLoss(),
        losses.FitNetLoss(),
        losses.RKDLoss(),
        losses.MiniLMLoss(),
    ],
    ids=lambda loss: loss.name,
)
def test_losses_on_other_values_refuse_top_k_labels(loss):
    labels = top_k_labels(draw((4, 5))[0], 2)
    with pytest.raises(ValueError, match=r"top-k labels as the teacher.*Received: a dict of"):
        loss(labels, np.zeros((4, 5)))


@pytest.mark.parametrize("loss", [losses.KDLoss(), losses.FSPLoss()], ids=lambda loss: loss.name)
def test_a_student_gives_no_top_k_labels(loss):
    labels = top_k_labels(draw((4, 5))[0], 2)
    values = (np.zeros((4, 5)), labels)
    with pytest.raises(ValueError, match="top-k labels as the student"):
        loss(*([[value, value] for value in values] if loss.joint else values))


# In a Distiller without a teacher.


def carried(x, outputs):
    return {"inputs": x, "teacher_outputs": outputs}


def single(value):
    return keras.tree.map_structure(
        lambda x: x if x.dtype == "int32" else x.astype("float32"), value
    )


def fitted(student, x, y, outputs, jit_compile, **kwargs):
    model = distiller(student, compiled={"jit_compile": jit_compile}, **kwargs)
    history = model.fit(carried(x, outputs), y, batch_size=6, epochs=3, shuffle=False, verbose=0)
    return model, history.history


@pytest.mark.parametrize(
    ("cls", "jit_compile"),
    [
        (losses.KDLoss, JIT),
        pytest.param(losses.KDLoss, True, marks=pytest.mark.slow),
        pytest.param(losses.DKDLoss, True, marks=pytest.mark.slow),
    ],
)
def test_fit_on_top_k_labels_is_fit_on_their_logits(cls, jit_compile):
    x, teacher = (values.astype("float32") for values in (draw((14, 4))[0], draw((14, 5))[1]))
    y = teacher.argmax(-1)
    labels = top_k_labels(teacher, 2)
    runs = [
        fitted(net(classes=5), x, y, single(outputs), jit_compile, kd_loss=cls(2.0))
        for outputs in (labels, spread(labels, 5))
    ]
    assert_same_weights(runs[0][0].student, runs[1][0].student, atol=2e-5)
    assert runs[0][1]["kd_loss"][-1] < 0.9 * runs[0][1]["kd_loss"][0]


@pytest.mark.alike
def test_several_outputs_and_sample_weights_with_top_k_labels():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((4,))
    outputs = {
        "a": keras.layers.Dense(5, name="a")(inputs),
        "b": keras.layers.Dense(3, name="b")(inputs),
    }
    student = keras.Model(inputs, outputs)
    x = draw((8, 4))[0].astype("float32")
    teacher = {"a": draw((8, 5))[1], "b": draw((8, 3))[1]}
    weight = np.arange(8.0)
    labels = {"a": top_k_labels(teacher["a"], 2), "b": teacher["b"]}
    model = distiller(
        student, alpha=0.0, temperature=2.0, compiled={"optimizer": sgd(0.0), **EAGER}
    )
    history = model.fit(
        carried(x, single(labels)),
        {"a": np.zeros(8), "b": np.zeros(8)},
        sample_weight=weight,
        batch_size=8,
        verbose=0,
    ).history
    scores = student.predict(x, verbose=0)
    logits = {"a": spread(labels["a"], 5), "b": teacher["b"]}
    expected = sum(
        (weight * by_definition(losses.KDLoss, logits[key], scores[key], 2.0)).mean()
        for key in "ab"
    )
    assert history["kd_loss"][0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.alike
def test_tokens_that_are_masked_teach_nothing():
    keras.utils.set_random_seed(4)
    student = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            keras.layers.Embedding(7, 6, mask_zero=True),
            keras.layers.Dense(9, name="scores"),
        ]
    )
    tokens = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [6, 1, 2, 3, 4]], "int32")
    labels = top_k_labels(draw((3, 5, 9))[0], 3)
    compiled = {"loss": None, "optimizer": sgd(0.0), **EAGER}
    model = distiller(student, alpha=0.0, compiled=compiled)
    history = model.fit(carried(tokens, single(labels)), batch_size=3, verbose=0).history
    scores = student.predict(tokens, verbose=0)
    each = by_definition(losses.KDLoss, spread(labels, 9), scores, 4.0)
    assert history["kd_loss"][0] == pytest.approx(each[tokens > 0].mean(), rel=1e-4)


@of_compiled_steps
@pytest.mark.parametrize(
    "cls",
    [
        losses.KDLoss,  # reads the labels as they are
        pytest.param(losses.JSDLoss, marks=pytest.mark.alike),
        pytest.param(losses.HardLabelLoss, marks=pytest.mark.slow),
    ],
)
def test_a_class_that_the_student_lacks_shows_as_nan_in_a_compiled_step(cls):
    # The teacher had 9 classes, of which its labels name 2; the student has 5.
    x, labels = draw((6, 4))[0].astype("float32"), top_k_labels(np.tile(np.arange(9.0), (6, 1)), 2)
    model = distiller(
        net(classes=5), kd_loss=make(cls), alpha=0.0, compiled={"loss": None, "jit_compile": JIT}
    )
    history = model.fit(carried(x, single(labels)), batch_size=6, verbose=0).history
    assert np.isnan(history["kd_loss"][0])

import keras
import numpy as np
import pytest
from keras import layers, ops
from models_for_tests import EAGER, cross_entropy, examples, net, numbers
from variants import first_of

from keras_kd import Distiller
from keras_kd.losses import FitNetLoss, GradientLoss

pytestmark = pytest.mark.core
JIT = keras.backend.backend() == "jax"  # which would run operation by operation without it
jit = first_of("jit_compile", [False, True], ids=["plain", "xla"])


def numpy(value):
    return np.asarray(ops.convert_to_numpy(value), "float64")


def rich_net(width, seed, activation=None):
    """Preprocessing inside, BatchNorm and Dropout."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Rescaling(0.5, offset=0.1),
            layers.Dense(width, "tanh", name="hidden"),
            layers.BatchNormalization(momentum=0.5, name="norm"),
            layers.Dropout(0.3, seed=3),
            layers.Dense(3, activation, name="scores"),
        ]
    )
    model.get_layer("norm").moving_mean.assign(0.3 * np.arange(width))
    model.get_layer("norm").moving_variance.assign(1.0 + np.arange(width))
    return model


def distiller(student, teacher, loss=None, **kwargs):
    losses = [loss or GradientLoss(), *kwargs.pop("others", [])]
    return Distiller(student, teacher, alpha=0.0, kd_loss=None, feature_losses=losses, **kwargs)


def compiled(model, rate=1e-2, **kwargs):
    optimizer = keras.optimizers.Adam(rate)
    model.compile(optimizer, cross_entropy(), **{"jit_compile": False, **kwargs})
    return model


def slopes(model, x, classes, log_probabilities):
    """Each sample's gradient of its class' score by central differences, normalised."""
    found = []
    for feature in range(x.shape[1]):
        step = 1e-2 * np.eye(x.shape[1], dtype="float32")[feature]
        scores = [numpy(model(x + sign * step, training=False)) for sign in (1, -1)]
        if log_probabilities:
            scores = [np.log(p) for p in scores]
        rows = np.arange(len(x))
        found.append((scores[0] - scores[1])[rows, classes] / 2e-2)
    found = np.stack(found, 1)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def expected(student, teacher, x, log_probabilities=False):
    classes = numpy(teacher(x, training=False)).argmax(-1)
    ours, theirs = (slopes(m, x, classes, log_probabilities) for m in (student, teacher))
    return ((ours - theirs) ** 2).sum(1).mean()


def evaluated(student, teacher, loss=None):
    """The distance as a function of inputs, as `evaluate` logs it: nothing moves."""
    model = distiller(student, teacher, loss, validate_with_teacher=True)
    model.compile("sgd", **EAGER, jit_compile=JIT)
    return lambda x: model.evaluate(x, return_dict=True, verbose=0)["gradient_loss"]


def value(student, teacher, x, loss=None):
    return evaluated(student, teacher, loss)(x)


@pytest.mark.alike
@first_of("activation", [None, "softmax"])
def test_the_logged_distance_is_the_papers_by_differences(activation):
    student, teacher = rich_net(3, 0, activation), rich_net(5, 1, activation)
    x, _ = examples(16)
    wanted = expected(student, teacher, x, activation == "softmax")
    assert wanted > 0.1
    assert value(student, teacher, x) == pytest.approx(wanted, rel=2e-3)


def test_a_model_that_ends_in_softmax_is_compared_with_one_that_ends_in_logits():
    # Same weights, other ends: the log-probabilities of both change in the same way.
    x, _ = examples(16)
    for ends in (("softmax", None), (None, "softmax")):
        nets = [rich_net(3, 0, activation) for activation in ends]
        assert value(*nets, x) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.alike
def test_one_output_is_compared_as_it_is_and_a_sigmoid_by_its_logit():
    nets = net(4, classes=1, activation="sigmoid"), net(4, classes=1)
    assert value(*nets, examples(16)[0]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.slow
@jit
def test_fit_brings_the_gradients_nearer_and_leaves_the_teacher_alone(jit_compile):
    student, teacher = rich_net(6, 0), rich_net(5, 1)
    before = numbers(teacher)
    model = compiled(distiller(student, teacher), jit_compile=jit_compile)
    x, _ = examples(32)
    history = model.fit(x, batch_size=16, epochs=15, verbose=0).history["gradient_loss"]
    assert history[-1] < 0.6 * history[0]
    for weight, value in zip(numbers(teacher), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_the_weights_slope_is_that_of_the_whole_loss():
    # SGD moves each weight by rate * slope. The pass sees the moving statistics that the step has
    # just brought about, as constants: no gradient through them.
    student, teacher = rich_net(3, 0), rich_net(5, 1)
    x, _ = examples(8)
    kernel, norm = student.get_layer("hidden").kernel, student.get_layer("norm")
    start, mean = numpy(kernel), numpy(norm.moving_mean)
    all_weights = [numpy(weight) for weight in student.trainable_variables]
    model = distiller(student, teacher)
    model.compile(keras.optimizers.SGD(1e-2), **EAGER, jit_compile=JIT)
    model.fit(x, batch_size=8, verbose=0)
    assert np.abs(numpy(norm.moving_mean) - mean).max() > 0.1
    slopes = (start - numpy(kernel)) / 1e-2
    assert np.abs(slopes).max() > 0.1
    for weight, before in zip(student.trainable_variables, all_weights, strict=True):
        weight.assign(before)
    distance = evaluated(student, teacher)
    for place in [(1, 2), (0, 0), (3, 1)]:
        values = []
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * 2e-2
            kernel.assign(moved)
            values.append(distance(x))
        assert slopes[place] == pytest.approx((values[0] - values[1]) / 4e-2, rel=2e-2, abs=3e-4)


def test_the_extra_pass_moves_no_statistics_and_no_seed():
    x, y = examples(16)
    nets = []
    for weight in (0.0, None):
        student = rich_net(3, 0)
        loss = GradientLoss(weight=0.0)
        model = Distiller(
            student,
            rich_net(5, 1),
            alpha=1.0,
            kd_loss=None,
            feature_losses=[] if weight is None else [loss],
        )
        compiled(model, **EAGER, jit_compile=JIT).fit(x, y, batch_size=8, shuffle=False, verbose=0)
        nets.append(student)
    for one, other in zip(*(numbers(n) for n in nets), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@jit
def test_beside_a_feature_loss_the_recordings_do_not_mix(jit_compile):
    x, _ = examples(16)

    def logged(*losses):
        model = Distiller(
            net(3), net(5, seed=1), alpha=0.0, kd_loss=None, feature_losses=list(losses)
        )
        for projector in getattr(model.feature_terms[0], "projectors", []):
            projector.set_weights([np.full((3, 5), 0.1), np.zeros(5)])
        how = {"jit_compile": True} if jit_compile else {**EAGER, "jit_compile": JIT}
        return compiled(model, **how).fit(x, verbose=0, batch_size=16).history

    both = logged(FitNetLoss(layers={"hidden": "hidden"}), GradientLoss())
    fit_net = logged(FitNetLoss(layers={"hidden": "hidden"}))
    assert both["fit_net_loss"] == pytest.approx(fit_net["fit_net_loss"], rel=1e-5)
    assert both["gradient_loss"] == pytest.approx(logged(GradientLoss())["gradient_loss"], rel=1e-5)


@pytest.mark.slow
def test_a_regularised_student_in_mixed_precision_trains():
    keras.utils.set_random_seed(0)
    student = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, "tanh", activity_regularizer="l2", dtype="float32"),
            layers.Dense(3, dtype="mixed_bfloat16"),
        ]
    )
    model = compiled(distiller(student, net(5, seed=1)))
    history = model.fit(examples(16)[0], epochs=2, verbose=0).history
    assert np.isfinite(history["gradient_loss"]).all()
    assert np.isfinite(history["loss"]).all()


@pytest.mark.slow
def test_several_inputs_and_padded_steps():
    keras.utils.set_random_seed(0)
    nets = []
    for width in (3, 5):
        sequence, extra = keras.Input((None, 2), name="sequence"), keras.Input((1,), name="extra")
        gate = layers.Reshape((1, 1))(layers.Dense(1, "sigmoid")(extra))
        h = layers.Masking()(layers.Multiply()([sequence, gate]))
        h = layers.SimpleRNN(width, return_sequences=True)(h)
        h = layers.Dense(3)(h)
        nets.append(keras.Model({"sequence": sequence, "extra": extra}, h))
    rng = np.random.default_rng(0)
    x = {
        "sequence": rng.normal(size=(6, 4, 2)).astype("float32"),
        "extra": rng.normal(size=(6, 1)).astype("float32"),
    }

    padded = {**x, "sequence": np.pad(x["sequence"], [(0, 0), (0, 3), (0, 0)])}
    loss = GradientLoss(normalize=False)
    assert value(*nets, x, loss) > 1e-3
    assert value(*nets, padded, loss) == pytest.approx(value(*nets, x, loss), rel=1e-4)


def test_what_has_no_gradient_is_refused():
    with pytest.raises(ValueError, match=r"reads no layers\. Received: layers=\{'hidden'"):
        distiller(net(3), net(5), GradientLoss(layers={"hidden": "hidden"}))
    words = [
        keras.Sequential(
            [keras.Input((4,), dtype="int32"), layers.Embedding(9, 2), layers.Dense(3)]
        )
        for _ in "12"
    ]
    with pytest.raises(ValueError, match=r"floating-point numbers\. Received: student .*int32"):
        distiller(*words)
    x = keras.Input((4,))
    two = [keras.Model(x, [layers.Dense(3)(x), layers.Dense(2)(x)]) for _ in "12"]
    with pytest.raises(ValueError, match=r"models of one output\. Received: student .* 2 outputs"):
        distiller(*two)
    with pytest.raises(ValueError, match=r"outputs of one shape.*student=\(None, 3\)"):
        distiller(net(3), net(3, classes=7))
    with pytest.raises(ValueError, match=r"does not compare outputs: pass it in `feature_losses`"):
        Distiller(net(3), net(5), kd_loss=GradientLoss())

import keras
import numpy as np
import pytest
from contract import LossContract
from every_loss import draw, run
from keras import ops
from models_for_tests import (
    EAGER,
    assert_same_weights,
    distiller,
    examples,
    heads,
    kd,
    linear,
    log_softmax,
    logs,
    net,
    softmax,
)

from keras_kd import Distiller
from keras_kd.losses import KDLoss, MappedKDLoss
from keras_kd.teachers import OutputMapping

pytestmark = pytest.mark.core


def mapping(classes=3, kind="vector", seed=0):
    layer = OutputMapping(kind, classes)
    rng = np.random.default_rng(seed)
    layer.set_weights([w + 0.3 * rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def mapped(layer, z):
    """The vector mapping of logits, in float64."""
    scale, bias = (np.asarray(weight, "float64") for weight in layer.get_weights())
    return scale * log_softmax(z) + bias


@pytest.mark.parametrize("shape", [(4, 7), (2, 3, 5)], ids=str)
def test_it_is_hintons_loss_to_the_mapped_teacher(shape):
    teacher, student = draw(shape)
    layer = mapping(shape[-1])
    loss = MappedKDLoss(layer, temperature=2.0, reduction=None)
    expected = kd(mapped(layer, teacher), student, 2.0)
    np.testing.assert_allclose(run(loss, teacher, student), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.alike
@pytest.mark.parametrize("kind", ["temperature", "vector", "matrix", "net"])
def test_at_the_identity_it_is_hintons_loss(kind):
    teacher, student = draw((4, 5))
    loss = MappedKDLoss(OutputMapping(kind, 5))
    assert run(loss, teacher, student) == pytest.approx(run(KDLoss(), teacher, student), rel=1e-5)


def test_masked_classes_stay_masked():
    teacher, student = draw((4, 5))
    layer = mapping(5)
    teacher[:, 2] = student[:, 2] = -np.inf
    rest = [0, 1, 3, 4]
    of_rest = mapped(layer, np.where(np.isinf(teacher), -1e30, teacher))[:, rest]
    expected = kd(of_rest, student[:, rest], 4.0).mean()
    assert run(MappedKDLoss(layer), teacher, student) == pytest.approx(expected, rel=1e-4)


def answers(x, teacher):
    """x of a Distiller without a teacher, in each of the forms that carry the same."""
    z = np.asarray(ops.convert_to_numpy(teacher(x)), "float64")
    order = np.argsort(-z, axis=-1)[:, :2]
    log_p = np.take_along_axis(log_softmax(z), order, axis=-1)
    top_k = {
        "log_probabilities": log_p.astype("float32"),
        "indices": order.astype("int32"),
        "log_rest": np.log1p(-np.exp(log_p).sum(-1)).astype("float32"),
    }
    forms = [z.astype("float32"), {"probabilities": softmax(z).astype("float32")}, top_k]
    return [{"inputs": x, "teacher_outputs": form} for form in forms]


def fitted(*models, x, **kwargs):
    """The student after one step."""
    model = distiller(*models, **kwargs)
    model.fit(x, examples()[1], batch_size=12, shuffle=False, verbose=0)
    return model.student


@pytest.mark.alike
def test_teachers_of_logits_and_of_softmax_teach_the_same():
    x, y = examples()
    loss, teacher = MappedKDLoss(mapping()), net(8, seed=1)
    ends_in_softmax = keras.Sequential([teacher, keras.layers.Softmax()])
    for each in (teacher, ends_in_softmax):
        model = distiller(net(), each, kd_loss=loss, validate_with_teacher=True)
        z = [np.asarray(ops.convert_to_numpy(net(x))) for net in (teacher, model.student)]
        expected = kd(mapped(loss.mapping, z[0]), z[1], 4.0).mean()
        assert logs(model, x, y)["kd_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.alike
def test_what_travels_with_the_data_teaches_the_same():
    x, _ = examples()
    loss, teacher = MappedKDLoss(mapping()), net(8, seed=1)
    live = fitted(net(), teacher, x=x, kd_loss=loss)
    for carried in answers(x, teacher):
        assert_same_weights(fitted(net(), x=carried, kd_loss=loss), live, atol=1e-5)


def test_neither_the_mapping_that_was_given_nor_the_copy_is_trained(tmp_path):
    x, y = examples()
    layer = mapping()
    before = layer.get_weights()
    model = distiller(net(), net(8, seed=1), kd_loss=MappedKDLoss(layer))
    part = model.output_terms[0].part
    assert not {id(v) for v in part.variables} & {id(v) for v in model.trainable_variables}
    model.fit(x, y, verbose=0)
    for weights in (layer.get_weights(), part.get_weights()):
        for one, other in zip(before, weights, strict=True):
            np.testing.assert_array_equal(one, other)
    assert layer.trainable
    part.scale.assign([2.0, 2.0, 2.0])  # as a callback does
    model.save(tmp_path / "distiller.keras")
    again = keras.saving.load_model(tmp_path / "distiller.keras")
    assert_same_weights(again.output_terms[0].part, part, atol=0.0)
    assert_same_weights(again.output_terms[0].loss.mapping, layer, atol=0.0)


@pytest.mark.alike
def test_a_reloaded_loss_keeps_what_its_mapping_has_learned():
    loss = MappedKDLoss(mapping(), temperature=3.0)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    teacher, student = draw((4, 3))
    assert copy.temperature == 3.0
    assert run(copy, teacher, student) == pytest.approx(run(loss, teacher, student), rel=1e-6)


@pytest.mark.alike
def test_several_outputs_have_mappings_of_their_own_in_half_precision():
    x, _ = examples()
    layers = {"a": mapping(), "b": mapping(seed=1)}
    loss = {name: MappedKDLoss(layer) for name, layer in layers.items()}
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        student, teacher = heads("ab"), heads("ab", seed=1)
    finally:
        keras.config.set_dtype_policy(policy)
    model = Distiller(student, teacher, alpha=0.0, kd_loss=loss, validate_with_teacher=True)
    model.compile("sgd", **EAGER)
    z = [keras.tree.map_structure(_float64, m(x, training=False)) for m in (teacher, student)]
    expected = sum(kd(mapped(layers[n], z[0][n]), z[1][n], 4.0).mean() for n in "ab")
    assert logs(model, x)["kd_loss"] == pytest.approx(expected, rel=1e-3)
    assert model.output_terms[0].part is not model.output_terms[1].part


def _float64(value):
    return np.asarray(ops.convert_to_numpy(ops.cast(value, "float32")), "float64")


@pytest.mark.alike
def test_any_layer_from_logits_to_logits_will_do():
    layer = linear(2.0 * np.eye(3))  # a model is a layer
    teacher, student = draw((4, 3))
    expected = kd(2.0 * teacher, student, 4.0).mean()
    assert run(MappedKDLoss(layer), teacher, student) == pytest.approx(expected, rel=1e-4)
    model = Distiller(net(), net(8, seed=1), kd_loss=MappedKDLoss(layer))
    assert_same_weights(model.output_terms[0].part, layer, atol=0.0)


@pytest.mark.alike
def test_mappings_of_something_else_are_refused_when_the_distiller_is_made():
    pair = net(), net(8, seed=1)
    with pytest.raises(ValueError, match=r"scores of 3 classes .* which takes 4$"):
        Distiller(*pair, kd_loss=MappedKDLoss(mapping(4)))
    with pytest.raises(ValueError, match=r"scores of 3 classes.* makes \(2, 5\)"):
        Distiller(*pair, kd_loss=MappedKDLoss(linear(np.ones((3, 5)))))
    with pytest.raises(ValueError, match=r"scores of 3 classes.* which says: "):
        Distiller(*pair, kd_loss=MappedKDLoss(linear(np.eye(5))))
    for wrong in (keras.layers.Dense(3), "vector", np.exp):
        with pytest.raises(TypeError, match="`mapping` must be a built keras layer"):
            MappedKDLoss(wrong)


@pytest.mark.alike
def test_teachers_without_scores_of_classes_are_refused_when_the_distiller_is_made():
    loss = MappedKDLoss(mapping())
    for activation, message in [("relu", "cannot be known"), ("sigmoid", "ends in sigmoid")]:
        with pytest.raises(ValueError, match=message):
            Distiller(net(), net(8, activation=activation), kd_loss=loss)


class TestMappedKDLoss(LossContract):
    equal_is_zero = False  # a student that equals its teacher is not what it maps to

    def make(**kwargs):
        return MappedKDLoss(mapping(10), **kwargs)

    def values(self, seed=0):
        rng = np.random.default_rng(seed)
        return rng.normal(size=(4, 10)), rng.normal(size=(4, 10))

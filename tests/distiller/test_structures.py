"""Models of every shape: what plain `fit` takes, the Distiller takes."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    EAGER,
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    inferred,
    kd,
    largest_move,
    log_softmax,
    net,
    numbers,
    sgd,
)
from variants import first_of

from keras_kd import Distiller
from keras_kd.losses import FitNetLoss, KDLoss, LogitsMSELoss

pytestmark = pytest.mark.core

# The 27 combinations of output, loss and target structure


def outputs_of(structure, seed):
    """A model with one output, or two in a list or a dict."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    hidden = layers.Dense(5, "tanh")(inputs)
    a, b = layers.Dense(3, name="a")(hidden), layers.Dense(3, name="b")(hidden)
    return keras.Model(inputs, {"single": a, "list": [a, b], "dict": {"a": a, "b": b}}[structure])


def filled(structure, value, output):
    names = "a" if output == "single" else "ab"
    return {
        "single": value,
        "list": [value for _ in names],
        "dict": dict.fromkeys(names, value),
    }[structure]


def verdict(model, output, loss, targets):
    """What comes of training: the exception's type, or None."""
    x, y = examples(6)
    try:
        model.compile(sgd(), filled(loss, cross_entropy(), output), run_eagerly=True)
        if isinstance(model, Distiller):
            model.fit(x, filled(targets, y, output), batch_size=6, verbose=0)
        else:
            model.train_on_batch(x, filled(targets, y, output))
    except Exception as error:
        return type(error)
    return None


STRUCTURES = ["single", "list", "dict"]
# Every pair of two structures stands in one of nine; the others are pairs with another third.
COMBINATIONS = [
    pytest.param(*(STRUCTURES[i] for i in three), marks=pytest.mark.slow if sum(three) % 3 else ())
    for three in itertools.product(range(3), repeat=3)
]


@pytest.mark.alike
@pytest.mark.parametrize(("output", "loss", "targets"), COMBINATIONS)
def test_what_plain_fit_trains_the_distiller_trains_and_it_refuses_the_rest(output, loss, targets):
    alone = outputs_of(output, 0)
    plain = verdict(alone, output, loss, targets)
    student, teacher = outputs_of(output, 0), outputs_of(output, 1)
    before = student.get_weights()
    model = Distiller(student, teacher, alpha=0.5)
    # What Keras' loss misses as a KeyError is told in words.
    assert verdict(model, output, loss, targets) is (ValueError if plain is KeyError else plain)
    if plain is None:  # where labels alone count, the same update comes of it
        student.set_weights(before)
        model.alpha.assign(1.0)
        x, y = examples(6)
        model.train_on_batch(x, filled(targets, y, output))
        assert_same_weights(student, alone)


# Inputs


def two_inputs(structure, seed):
    keras.utils.set_random_seed(seed)
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    hidden = layers.Dense(5, "tanh", name="hidden")(layers.Subtract()([a, b]))
    inputs = {"dict": {"a": a, "b": b}, "list": [a, b], "tuple": (a, b)}[structure]
    return keras.Model(inputs, layers.Dense(3)(hidden))


@first_of("structure", ["dict", "list", "tuple"])
def test_inputs_of_every_structure_train(structure):
    a, y = examples(8)
    b, _ = examples(8, seed=1)
    x = {"dict": {"a": a, "b": b}, "list": [a, b], "tuple": (a, b)}[structure]
    student, teacher = two_inputs(structure, 0), two_inputs(structure, 1)
    z_s, z_t = inferred(student, x), inferred(teacher, x)
    model = distiller(
        student,
        teacher,
        alpha=0.3,
        feature_losses=[FitNetLoss(layers={"hidden": "hidden"}, weight=0.0)],
        compiled={"optimizer": sgd(0.0), **EAGER},
    )
    found = model.fit(x, y, batch_size=8, verbose=0).history
    assert found["kd_loss"][0] == pytest.approx(kd(z_t, z_s, 4.0).mean(), rel=1e-3)
    assert found["student_loss"][0] == pytest.approx(
        -log_softmax(z_s)[range(8), y].mean(), rel=1e-4
    )
    np.testing.assert_allclose(inferred(model, x), z_s, atol=1e-6)


def test_inputs_that_happen_to_be_called_inputs_are_no_cached_outputs():
    inputs = {
        "inputs": keras.Input((4,), name="inputs"),
        "teacher_outputs": keras.Input((4,), name="teacher_outputs"),
    }

    def model(seed):
        keras.utils.set_random_seed(seed)
        return keras.Model(inputs, layers.Dense(3)(layers.Subtract()(list(inputs.values()))))

    x, y = examples(8)
    student = model(0)
    found = distiller(student, model(1)).fit({"inputs": x, "teacher_outputs": 2 * x}, y, verbose=0)
    assert found.history["kd_loss"][0] > 0


# Several outputs


def two_heads(seed, as_list=False, width=5, last=None):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    hidden = layers.Dense(width, "tanh", name="hidden")(inputs)
    a = layers.Dense(3, name="a")(hidden)
    b = layers.Dense(2, last, name="b")(hidden)
    return keras.Model(inputs, [a, b] if as_list else {"a": a, "b": b})


def losses_of(kd_loss, as_list, tmp=None):
    """Logs and expected distances of a Distiller of two heads."""
    x, y = examples(8)
    student, teacher = two_heads(0, as_list), two_heads(1, as_list, width=9)
    z_s, z_t = (
        list(inferred(model, x)) if as_list else list(inferred(model, x).values())
        for model in (student, teacher)
    )
    model = distiller(
        student,
        teacher,
        kd_loss=kd_loss,
        validate_with_teacher=True,
        compiled={
            **EAGER,
            "loss": [cross_entropy()] * 2
            if as_list
            else {"a": cross_entropy(), "b": cross_entropy()},
        },
    )
    labels = [y, y % 2] if as_list else {"a": y, "b": y % 2}
    found = float(model.test_on_batch(x, labels, return_dict=True)["kd_loss"])
    divergence = [kd(t, s, 4.0).mean() for t, s in zip(z_t, z_s, strict=True)]
    square = [((t - s) ** 2).mean() for t, s in zip(z_t, z_s, strict=True)]
    return found, divergence, square


@pytest.mark.alike
@pytest.mark.parametrize("as_list", [False, True])
def test_one_loss_is_summed_over_all_outputs(as_list):
    found, divergence, _ = losses_of(KDLoss(), as_list)
    assert found == pytest.approx(sum(divergence), rel=1e-3)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("kd_loss", "as_list"),
    [
        ({"a": KDLoss(), "b": LogitsMSELoss()}, False),
        ([KDLoss(), LogitsMSELoss()], False),
        ((KDLoss(), LogitsMSELoss()), True),
        ([KDLoss(), LogitsMSELoss()], True),
        ({"a": KDLoss(), "b": LogitsMSELoss()}, True),
        ({"b": LogitsMSELoss(), "a": KDLoss()}, True),
    ],
)
def test_each_output_may_have_its_own_loss_by_name_or_position(kd_loss, as_list):
    found, divergence, square = losses_of(kd_loss, as_list)
    assert found == pytest.approx(divergence[0] + square[1], rel=1e-3)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("kd_loss", "as_list"),
    [
        ({"b": LogitsMSELoss()}, False),
        ({"a": None, "b": LogitsMSELoss()}, False),
        ([None, LogitsMSELoss()], True),
        ({"b": LogitsMSELoss()}, True),
    ],
)
def test_an_output_without_a_loss_is_not_distilled(kd_loss, as_list):
    found, _, square = losses_of(kd_loss, as_list)
    assert found == pytest.approx(square[1], rel=1e-3)


@pytest.mark.alike
def test_a_loss_of_an_output_carries_its_weight():
    found, divergence, square = losses_of(
        {"a": KDLoss(weight=2.0), "b": LogitsMSELoss(weight=0.5)}, False
    )
    assert found == pytest.approx(2 * divergence[0] + 0.5 * square[1], rel=1e-3)


@pytest.mark.alike
def test_outputs_are_matched_by_name_whatever_their_order():
    x, _ = examples(8)
    student, teacher = two_heads(0), two_heads(1)
    turned = keras.Model(teacher.input, {"b": teacher.output["b"], "a": teacher.output["a"]})
    found = []
    for other in (teacher, turned):
        model = distiller(
            two_heads(0), other, alpha=0.0, compiled={"optimizer": sgd(0.0), "loss": None}
        )
        found.append(model.fit(x, verbose=0).history["kd_loss"][0])
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert student.output_names == ["a", "b"]


@pytest.mark.alike
def test_an_undistilled_output_may_differ_from_the_teachers():
    x, y = examples(8)
    teacher = net(9, seed=1)
    wide = keras.Model(teacher.input, {"a": teacher.output, "b": layers.Dense(7)(teacher.output)})
    model = distiller(
        two_heads(0),
        wide,
        kd_loss={"a": KDLoss()},
        compiled={"loss": {"a": cross_entropy(), "b": None}},
    )
    assert model.fit(x, {"a": y, "b": y}, verbose=0).history["kd_loss"][0] > 0


@pytest.mark.alike
@pytest.mark.parametrize("role", ["student", "teacher", "both"])
def test_a_dict_of_one_output_teaches_and_is_taught(role):
    def wrapped(seed):
        inner = net(5 + seed, seed=seed)
        return keras.Model(inner.input, {"scores": inner.output})

    x, y = examples(8)
    student = wrapped(0) if role != "teacher" else net(5, seed=0)
    teacher = wrapped(1) if role != "student" else net(6, seed=1)
    found = distiller(student, teacher, validate_with_teacher=True, compiled=EAGER).evaluate(
        x, y if role == "teacher" else {"scores": y}, return_dict=True, verbose=0
    )
    plain = [inferred(net(6, seed=1), x), inferred(net(5, seed=0), x)]
    assert found["kd_loss"] == pytest.approx(kd(*plain, 4.0).mean(), rel=1e-3)


@pytest.mark.alike
def test_labels_may_be_left_out_for_outputs_without_a_loss():
    x, y = examples(8)
    model = distiller(two_heads(0), two_heads(1), compiled={"loss": {"a": cross_entropy()}})
    assert model.fit(x, {"a": y}, verbose=0).history["kd_loss"][0] > 0


@pytest.mark.alike
def test_sample_weights_by_output_weigh_each_output():
    x, y = examples(8)
    student = two_heads(0)
    model = distiller(
        student,
        two_heads(1),
        alpha=0.5,
        compiled={"loss": {"a": cross_entropy(), "b": cross_entropy()}},
    )
    before = {name: numbers(student.get_layer(name)) for name in "ab"}
    weights = {"a": np.ones(8), "b": np.zeros(8)}
    model.fit(x, {"a": y, "b": y % 2}, sample_weight=weights, verbose=0)
    assert largest_move(student.get_layer("a"), before["a"]) > 0
    assert largest_move(student.get_layer("b"), before["b"]) == 0

"""Models of every shape: what plain `fit` takes, the Distiller takes."""

import copy
import itertools
import pickle

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
    kd,
    largest_move,
    log_softmax,
    net,
    numbers,
    sgd,
)

from keras_kd import Distiller
from keras_kd.features import Tap
from keras_kd.losses import FitNetLoss, KDLoss, LogitsMSELoss, RegressionLoss

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
        model.fit(x, filled(targets, y, output), batch_size=6, verbose=0)
    except Exception as error:
        return type(error)
    return None


COMBINATIONS = list(itertools.product(["single", "list", "dict"], repeat=3))


@pytest.mark.parametrize(("output", "loss", "targets"), COMBINATIONS)
def test_what_plain_fit_trains_the_distiller_trains_and_it_refuses_the_rest(output, loss, targets):
    alone = outputs_of(output, 0)
    plain = verdict(alone, output, loss, targets)
    for alpha in (0.5, 1.0):
        student = outputs_of(output, 0)
        model = Distiller(student, outputs_of(output, 1), alpha=alpha)
        assert verdict(model, output, loss, targets) is plain
    if plain is None:  # where labels alone count, the same update comes of it
        assert_same_weights(student, alone)


# Inputs


def two_inputs(structure, seed):
    keras.utils.set_random_seed(seed)
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    hidden = layers.Dense(5, "tanh", name="hidden")(layers.Subtract()([a, b]))
    inputs = {"dict": {"a": a, "b": b}, "list": [a, b], "tuple": (a, b)}[structure]
    return keras.Model(inputs, layers.Dense(3)(hidden))


@pytest.mark.parametrize("structure", ["dict", "list", "tuple"])
def test_inputs_of_every_structure_train(structure):
    a, y = examples(8)
    b, _ = examples(8, seed=1)
    x = {"dict": {"a": a, "b": b}, "list": [a, b], "tuple": (a, b)}[structure]
    student, teacher = two_inputs(structure, 0), two_inputs(structure, 1)
    z_s, z_t = student.predict(x, verbose=0), teacher.predict(x, verbose=0)
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
    np.testing.assert_allclose(model.predict(x, verbose=0), z_s, atol=1e-6)


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
        list(model.predict(x, verbose=0)) if as_list else list(model.predict(x, verbose=0).values())
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
    found = model.evaluate(x, labels, return_dict=True, verbose=0)["kd_loss"]
    divergence = [kd(t, s, 4.0).mean() for t, s in zip(z_t, z_s, strict=True)]
    square = [((t - s) ** 2).mean() for t, s in zip(z_t, z_s, strict=True)]
    return found, divergence, square


@pytest.mark.parametrize("as_list", [False, True])
def test_one_loss_is_summed_over_all_outputs(as_list):
    found, divergence, _ = losses_of(KDLoss(), as_list)
    assert found == pytest.approx(sum(divergence), rel=1e-3)


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


def test_a_loss_of_an_output_carries_its_weight():
    found, divergence, square = losses_of(
        {"a": KDLoss(weight=2.0), "b": LogitsMSELoss(weight=0.5)}, False
    )
    assert found == pytest.approx(2 * divergence[0] + 0.5 * square[1], rel=1e-3)


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
    plain = [net(6, seed=1).predict(x, verbose=0), net(5, seed=0).predict(x, verbose=0)]
    assert found["kd_loss"] == pytest.approx(kd(*plain, 4.0).mean(), rel=1e-3)


def test_labels_may_be_left_out_for_outputs_without_a_loss():
    x, y = examples(8)
    model = distiller(two_heads(0), two_heads(1), compiled={"loss": {"a": cross_entropy()}})
    assert model.fit(x, {"a": y}, verbose=0).history["kd_loss"][0] > 0


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


# Where the layers are


def values_read(model, tap, x):
    """What the Distiller reads of a layer: a loss against a teacher that says 0 squares it."""
    zero = keras.Sequential([keras.Input(x.shape[1:]), Zeros(name="zeros"), layers.Dense(3)])
    read = []

    class Read(RegressionLoss):
        def call(self, teacher_value, student_value):
            read.append(student_value)
            return super().call(teacher_value, student_value)

    found = Distiller(
        model,
        zero,
        kd_loss=None,
        feature_losses=[Read(layers={tap: "zeros"}, name="read")],
        validate_with_teacher=True,
    )
    found.compile(run_eagerly=True)
    found.test_on_batch(x)
    return keras.ops.convert_to_numpy(read[-1])


class Zeros(layers.Layer):
    """Zeros of the width that taps of these tests have."""

    def call(self, x):
        return keras.ops.zeros_like(x[:, :1]) * keras.ops.ones((1, 5))

    def compute_output_shape(self, shape):
        return (shape[0], 5)


def backbone():
    inputs = keras.Input((4,))
    stage1 = layers.Dense(5, "tanh", name="stage1")(inputs)
    return keras.Model(inputs, layers.Dense(5, "tanh", name="stage2")(stage1), name="backbone")


def functional():
    inputs = keras.Input((4,))
    hidden = backbone()(inputs)
    return keras.Model(inputs, layers.Dense(3, name="scores")(hidden))


def sequential():
    return keras.Sequential([keras.Input((4,)), backbone(), layers.Dense(3, name="scores")])


def unbuilt_sequential():
    model = keras.Sequential(
        [
            keras.Sequential(
                [layers.Dense(5, "tanh", name="stage1"), layers.Dense(5, "tanh", name="stage2")],
                name="backbone",
            ),
            layers.Dense(3, name="scores"),
        ]
    )
    model(np.zeros((1, 4), "float32"))
    return model


class Backbone(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stages = [layers.Dense(5, "tanh", name=f"stage{i + 1}") for i in range(2)]

    def build(self, shape):
        for stage in self.stages:
            stage.build(shape)
            shape = (shape[0], 5)

    def call(self, x):
        for stage in self.stages:
            x = stage(x)
        return x


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone(name="backbone")
        self.scores = layers.Dense(3, name="scores")

    def call(self, x, training=None, unused=None):
        return self.scores(self.backbone(x))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 4), "float32"))
    return model


@pytest.mark.parametrize("make", [functional, sequential, unbuilt_sequential, subclassed])
@pytest.mark.parametrize("tap", ["stage2", "backbone/stage2", "backbone"])
def test_layers_of_every_kind_of_model_are_read_by_name_and_by_path(make, tap):
    keras.utils.set_random_seed(0)
    x, _ = examples(6)
    model = make()
    inner = model.layers[1 if make is functional else 0]
    kernels = [
        weight.numpy() if hasattr(weight, "numpy") else np.asarray(weight)
        for weight in inner.weights
    ]
    by_hand = np.tanh(np.tanh(x @ kernels[0] + kernels[1]) @ kernels[2] + kernels[3])
    np.testing.assert_allclose(values_read(model, tap, x), by_hand, atol=1e-5)


def test_values_read_are_exactly_those_of_a_model_of_that_layer():
    x, _ = examples(6)
    model = net()
    hidden = model.get_layer("hidden")
    expected = keras.Model(model.input, hidden.output)(x)
    np.testing.assert_array_equal(
        values_read(model, "hidden", x), keras.ops.convert_to_numpy(expected)
    )


@pytest.mark.parametrize("make", [functional, subclassed])
def test_the_input_of_a_layer_is_read(make):
    keras.utils.set_random_seed(0)
    x, _ = examples(6)
    model = make()
    np.testing.assert_array_equal(
        values_read(model, Tap("scores", side="input"), x), values_read(model, "backbone", x)
    )


class Doubling(keras.Model):
    """Runs one Dense layer twice."""

    def __init__(self):
        super().__init__()
        self.shared = layers.Dense(5, "tanh", name="shared")
        self.widen = layers.Dense(5, name="widen")
        self.scores = layers.Dense(3, name="scores")

    def call(self, x):
        return self.scores(self.shared(self.shared(self.widen(x))))


def doubling(kind):
    keras.utils.set_random_seed(0)
    if kind == "subclassed":
        model = Doubling()
        model(np.zeros((1, 4), "float32"))
        return model
    shared, inputs = layers.Dense(5, "tanh", name="shared"), keras.Input((4,))
    hidden = shared(shared(layers.Dense(5, name="widen")(inputs)))
    return keras.Model(inputs, layers.Dense(3, name="scores")(hidden))


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_a_layer_called_twice_is_read_at_the_call_that_is_named(kind):
    x, _ = examples(6)
    model = doubling(kind)
    kernel, bias = (keras.ops.convert_to_numpy(v) for v in model.get_layer("shared").weights)
    widened = values_read(model, "widen", x)
    once = np.tanh(widened @ kernel + bias)
    twice = np.tanh(once @ kernel + bias)
    np.testing.assert_allclose(values_read(model, Tap("shared", call=0), x), once, atol=1e-5)
    np.testing.assert_allclose(values_read(model, Tap("shared", call=1), x), twice, atol=1e-5)
    np.testing.assert_allclose(
        values_read(model, Tap("shared", side="input", call=1), x), once, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_a_layer_called_twice_must_say_which_call(kind):
    with pytest.raises(ValueError, match=r"2 times.*call=0.*call=1"):
        Distiller(doubling(kind), net(), feature_losses=[FitNetLoss(layers={"shared": "hidden"})])
    tap = Tap("shared", call=2)
    with pytest.raises(ValueError, match=r"2 times.*available: call=0 to call=1"):
        Distiller(doubling(kind), net(), feature_losses=[FitNetLoss(layers={tap: "hidden"})])


def test_a_name_that_several_layers_have_must_be_a_path():
    inputs = keras.Input((4,))
    one, other = backbone(), backbone()
    other.name = "second"
    model = keras.Model(inputs, layers.Dense(3)(other(layers.Dense(4)(one(inputs)))))
    with pytest.raises(ValueError, match=r"give a path.*backbone/stage1.*second/stage1"):
        Distiller(model, net(), feature_losses=[FitNetLoss(layers={"stage1": "hidden"})])
    Distiller(model, net(), feature_losses=[FitNetLoss(layers={"second/stage1": "hidden"})])


def test_the_teachers_layers_may_be_in_a_nested_model_too():
    x, y = examples(8)
    model = distiller(
        net(),
        functional(),
        feature_losses=[
            FitNetLoss(layers={"hidden": "backbone/stage1", Tap("scores", side="input"): "stage2"})
        ],
    )
    assert model.fit(x, y, verbose=0).history["fit_net_loss"][0] > 0


# Students that users write


@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="plain `fit` fails there: Keras 3.15.1 changes the LSTM's state in place",
)
def test_stateful_models_of_one_batch_size_train():
    def memory(width, seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input(batch_shape=(4, 5, 3))
        hidden = layers.LSTM(width, stateful=True, name="hidden")(inputs)
        return keras.Model(inputs, layers.Dense(3)(hidden))

    student = memory(4, 0)
    before = numbers(student)[:3]
    model = distiller(
        student, memory(6, 1), feature_losses=[FitNetLoss(layers={"hidden": "hidden"})]
    )
    model.fit(np.ones((8, 5, 3), "float32"), np.zeros(8), batch_size=4, verbose=0)
    assert max(np.abs(a - b).max() for a, b in zip(numbers(student), before, strict=False)) > 0


def test_an_int8_teacher_teaches():
    x, y = examples(8)
    teacher = net(9, seed=1)
    found = []
    for mode in ("float32", "int8"):
        if mode == "int8":
            teacher.quantize("int8")
        hint = FitNetLoss(layers={"hidden": "hidden"}, weight=1.0)
        model = distiller(net(9), teacher, feature_losses=[hint])
        found.append(model.fit(x, y, verbose=0).history)
    for name in ("kd_loss", "fit_net_loss"):
        assert found[1][name][0] == pytest.approx(found[0][name][0], rel=0.1)


def test_the_student_is_an_ordinary_model_that_pickles_clones_and_trains_on():
    x, y = examples(8)
    student = net()
    student.compile(sgd(), cross_entropy(), metrics=["accuracy"])
    student.fit(x, y, verbose=0)
    model = distiller(
        student, net(9, seed=1), feature_losses=[FitNetLoss(layers={"hidden": "hidden"})]
    )
    assert set(model.fit(x, y, verbose=0).history) == {
        "loss",
        "student_loss",
        "kd_loss",
        "fit_net_loss",
    }
    clone = keras.models.clone_model(student)
    clone.set_weights(student.get_weights())
    expected = student.predict(x, verbose=0)
    for other in (clone, pickle.loads(pickle.dumps(student)), copy.deepcopy(student)):
        np.testing.assert_array_equal(other.predict(x, verbose=0), expected)
    before = numbers(student)
    student.fit(x, y, verbose=0)
    assert largest_move(student, before) > 0


def test_a_teacher_whose_weights_change_teaches_what_it_knows_now():
    x, y = examples(8)
    teacher = net(9, seed=1)
    model = distiller(net(), teacher, compiled={"optimizer": sgd(0.0)})
    first = model.fit(x, y, verbose=0).history["kd_loss"][0]
    teacher.set_weights([3.0 * weight for weight in teacher.get_weights()])
    assert model.fit(x, y, verbose=0).history["kd_loss"][0] > 2 * first


class Flexible(keras.Model):
    """A list of layers, a keyword of its own, a dropout that follows `training`."""

    def __init__(self, widths=(5, 5), **kwargs):
        super().__init__(**kwargs)
        self.hidden = [
            layers.Dense(width, "tanh", name=f"hidden{i}") for i, width in enumerate(widths)
        ]
        self.drop = layers.Dropout(0.5, seed=1)
        self.scores = layers.Dense(3)
        self.trained = 0

    def call(self, x, training=None, scale=1.0):
        for layer in self.hidden:
            x = layer(x)
        if training:
            self.trained += 1
        return scale * self.scores(self.drop(x, training=training))


def test_a_subclassed_student_with_lists_of_layers_and_keywords_trains():
    x, y = examples(8)
    student = Flexible()
    student(x)
    model = distiller(
        student,
        net(7, seed=1),
        kd_loss=KDLoss(student_from_logits=True),
        feature_losses=[FitNetLoss(layers={"hidden1": "hidden"})],
    )
    before = numbers(student)
    model.fit(x, y, epochs=2, batch_size=4, verbose=0)
    assert student.trained >= 1  # `training=True` reached the student
    assert largest_move(student, before) > 0
    np.testing.assert_array_equal(model.predict(x, verbose=0), student.predict(x, verbose=0))


@pytest.mark.parametrize("structure", [tuple, list, dict])
def test_subclassed_models_with_several_outputs_train(structure):
    class Heads(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(3, name="a"), layers.Dense(3, name="b")

        def call(self, x):
            outputs = {"a": self.a(x), "b": self.b(x)}
            return outputs if structure is dict else structure(outputs.values())

    x, y = examples(8)
    keras.utils.set_random_seed(0)
    student, teacher = Heads(), Heads()
    student(x), teacher(x)
    labels = {"a": y, "b": y} if structure is dict else structure([y, y])
    loss = (
        {"a": cross_entropy(), "b": cross_entropy()} if structure is dict else [cross_entropy()] * 2
    )
    before = numbers(student)
    found = distiller(student, teacher, compiled={"loss": loss}).fit(x, labels, verbose=0)
    assert found.history["kd_loss"][0] > 0
    assert all(np.abs(a - b).max() > 0 for a, b in zip(numbers(student), before, strict=True))


def test_frozen_student_layers_stay_put():
    x, y = examples(8)
    student = net()
    student.get_layer("hidden").trainable = False
    before = numbers(student)
    model = distiller(student, net(9, seed=1))
    model.fit(x, y, verbose=0)
    after = numbers(student)
    assert np.abs(after[0] - before[0]).max() == np.abs(after[1] - before[1]).max() == 0
    assert np.abs(after[2] - before[2]).max() > 0


def test_a_layer_of_the_student_can_teach_another_model_at_the_same_time():
    """Two Distillers over one student: each reads its own step."""
    x, y = examples(8)
    student = net()
    one = distiller(
        student, net(9, seed=1), feature_losses=[FitNetLoss(layers={"hidden": "hidden"})]
    )
    two = distiller(net(seed=3), student, feature_losses=[FitNetLoss(layers={"hidden": "hidden"})])
    one.fit(x, y, verbose=0)
    before = numbers(student)
    two.fit(x, y, verbose=0)
    assert largest_move(student, before) == 0
    one.fit(x, y, verbose=0)
    assert largest_move(student, before) > 0

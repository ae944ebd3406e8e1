"""However the data come and whatever accelerates the step: the same training."""

import functools

import every_loss
import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    kd,
    largest_move,
    linear,
    log_softmax,
    net,
    numbers,
    sgd,
    softmax,
)

from keras_kd import Distiller, losses
from keras_kd.losses import FitNetLoss, KDLoss

core = pytest.mark.core
needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of the TensorFlow backend"
)
one_step_at_a_time = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras takes one step at a time on PyTorch"
)
HINT = {"hidden": "hidden"}


def trained(data, *, epochs=2, compiled=None, make=net, alpha=0.3, **kwargs):
    """A student after training on `data`, with the history."""
    student = make()
    hint = FitNetLoss(layers=HINT, weight=0.5)
    model = distiller(
        student, net(9, seed=1), alpha=alpha, feature_losses=[hint], compiled=compiled
    )
    x, arguments = (data[0], {"y": data[1]}) if isinstance(data, tuple) else (data, {})
    history = model.fit(
        x, epochs=epochs, **arguments, **{"shuffle": False, "verbose": 0, **kwargs}
    ).history
    return student, history


@functools.cache
def reference():
    """What arrays train: twelve examples in batches of five, for two epochs."""
    return trained(examples(12), batch_size=5)


def assert_same_training(one, other, atol=1e-6, rtol=1e-5):
    assert_same_weights(one[0], other[0], atol)
    assert set(one[1]) == set(other[1])
    for name, values in one[1].items():
        np.testing.assert_allclose(values, other[1][name], rtol=rtol, atol=atol, err_msg=name)


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays, size=5):
        super().__init__()
        self.arrays, self.size = arrays, size

    def __len__(self):
        return int(np.ceil(len(self.arrays[0]) / self.size))

    def __getitem__(self, index):
        part = slice(index * self.size, (index + 1) * self.size)
        return tuple(array[part] for array in self.arrays)


# What the student learns alone


@core
@pytest.mark.parametrize(
    "optimizer", [sgd, lambda: keras.optimizers.Adam(0.01)], ids=["sgd", "adam"]
)
def test_alpha_1_without_a_distillation_loss_is_the_student_alone(optimizer):
    def student():
        keras.utils.set_random_seed(0)
        return keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(5, "tanh", kernel_regularizer="l2"),
                layers.BatchNormalization(),
                layers.Dropout(0.3, seed=7),
                layers.Dense(3),
            ]
        )

    x, y = examples(12)
    weights = np.linspace(0.5, 2.0, 12)
    alone, taught = student(), student()
    model = Distiller(taught, net(9, seed=1), alpha=1.0, kd_loss=None)
    found = []
    for fitted in (alone, model):
        fitted.compile(optimizer(), cross_entropy(), metrics=["accuracy"])
        found.append(
            fitted.fit(
                x, y, sample_weight=weights, batch_size=5, epochs=3, shuffle=False, verbose=0
            ).history
        )
    assert_same_weights(taught, alone)
    for name, values in found[0].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-5, err_msg=name)


@core
def test_a_step_of_a_linear_student_is_the_one_derived_by_hand():
    x, y = examples(6)
    kernel, theirs = (np.random.default_rng(i).normal(size=(4, 3)) for i in (1, 2))
    alpha, temperature, rate = 0.3, 2.0, 0.5
    z_s, z_t = x @ kernel, x @ theirs
    by_labels = softmax(z_s) - np.eye(3)[y]
    # d/dz T^2 KL(softmax(z_t / T), softmax(z_s / T)) = T (softmax(z_s / T) - softmax(z_t / T))
    by_teacher = temperature * (softmax(z_s / temperature) - softmax(z_t / temperature))
    gradient = (alpha * by_labels + (1 - alpha) * by_teacher) / len(x)
    student = linear(kernel)
    distiller(
        student,
        linear(theirs),
        alpha=alpha,
        temperature=temperature,
        compiled={"optimizer": sgd(rate)},
    ).fit(x, y, batch_size=6, verbose=0)
    np.testing.assert_allclose(numbers(student)[0], kernel - rate * x.T @ gradient, atol=1e-6)
    np.testing.assert_allclose(numbers(student)[1], -rate * gradient.sum(0), atol=1e-6)


# Kinds of data


@core
def test_pydatasets_and_generators_train_as_arrays_do():
    x, y = examples(12)

    def generator():
        while True:
            yield from (batches[index] for index in range(len(batches)))

    batches = Batches(x, y)
    assert_same_training(reference(), trained(batches))
    assert_same_training(reference(), trained(generator(), steps_per_epoch=3))


@needs_tensorflow
def test_tf_data_trains_as_arrays_do():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(examples(12)).batch(5)
    assert_same_training(reference(), trained(data))
    assert_same_training(reference(), trained(data.repeat(), steps_per_epoch=3))


@core
def test_validation_split_is_plain_keras_validation():
    x, y = examples(12)
    x = np.concatenate([x, 2 * x[:4]])
    y = np.concatenate([y, y[:4]])
    student, history = trained((x, y), batch_size=5, validation_split=0.25)
    student.compile(loss=cross_entropy())
    alone = student.evaluate(x[12:], y[12:], verbose=0)
    assert history["val_loss"][-1] == pytest.approx(alone, rel=1e-5)
    assert_same_weights(student, reference()[0])


@core
def test_labels_of_other_shapes_train_the_same():
    x, y = examples(12)
    one_hot = np.eye(3, dtype="float32")[y]
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    assert_same_training(reference(), trained((x, one_hot), batch_size=5, compiled={"loss": loss}))
    assert_same_training(reference(), trained((x, y[:, None]), batch_size=5))


@core
@pytest.mark.parametrize("by", ["class_weight", "sample_weight", "in the data"])
def test_weights_are_those_put_in_by_hand(by):
    # A class that counts twice is a class whose examples come twice.
    x, y = examples(12)
    weights = {0: 0.0, 1: 1.0, 2: 2.0}
    by_example = np.array([weights[label] for label in y], "float32")
    student, teacher = linear(np.eye(4)[:, :3]), linear(np.eye(4)[:, ::-1][:, :3])
    z_s, z_t = x[:, :3].astype("float64"), x[:, ::-1][:, :3].astype("float64")
    gradient = 0.3 * (softmax(z_s) - np.eye(3)[y]) + 0.7 * 4 * (softmax(z_s / 4) - softmax(z_t / 4))
    gradient *= by_example[:, None] / len(x)
    model = distiller(student, teacher, alpha=0.3)
    if by == "in the data":
        model.fit(Batches(x, y, by_example, size=12), verbose=0)
    else:
        given = weights if by == "class_weight" else by_example
        model.fit(x, y, batch_size=12, verbose=0, **{by: given})
    np.testing.assert_allclose(
        numbers(student)[0], np.eye(4)[:, :3] - 0.1 * x.T @ gradient, atol=1e-6
    )


def tagger(width, seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None,), dtype="int32")
    hidden = layers.Embedding(7, width, mask_zero=True, name="embedding")(inputs)
    hidden = layers.GRU(width, return_sequences=True, name="hidden")(hidden)
    return keras.Model(inputs, layers.Dense(3, name="scores")(hidden))


@core
@pytest.mark.parametrize("weighted", [False, True])
def test_padding_to_another_length_changes_nothing(weighted):
    rng = np.random.default_rng(0)
    tokens, labels = rng.integers(1, 7, (6, 5)), rng.integers(0, 3, (6, 5))
    for row, end in enumerate((2, 5, 3, 1, 4, 5)):
        tokens[row, end:] = 0
    by_token = np.linspace(0.0, 2.0, 30).reshape(6, 5)
    runs = []
    for padding in (0, 3):
        student = tagger(4)
        model = distiller(
            student, tagger(4, seed=1), feature_losses=[FitNetLoss(layers=HINT, weight=1.0)]
        )
        x, y, w = (np.pad(a, ((0, 0), (0, padding))) for a in (tokens, labels, by_token))
        weights = {"sample_weight": w} if weighted else {}
        runs.append((student, model.fit(x, y, batch_size=6, verbose=0, **weights).history))
    assert_same_training(*runs)


@core
@pytest.mark.parametrize("loss", [None, "given"])
def test_unlabelled_data_train_at_alpha_0(loss):
    x, y = examples(8)
    runs = []
    for labels in (None, y):
        student = net()
        compiled = {"loss": cross_entropy() if loss or labels is not None else None}
        model = distiller(student, net(9, seed=1), alpha=0.0, compiled=compiled)
        runs.append(
            (student, model.fit(x, labels, epochs=2, batch_size=4, shuffle=False, verbose=0))
        )
    assert_same_weights(runs[0][0], runs[1][0])
    assert set(runs[0][1].history) == {"loss", "kd_loss"}


@core
def test_unlabelled_data_come_in_any_container():
    x, _ = examples(8)
    student, other = net(), net()
    for model, data in ((student, x), (other, Batches(x, size=4))):
        distiller(model, net(9, seed=1), alpha=0.0, compiled={"loss": None}).fit(
            data, verbose=0, shuffle=False, **({"batch_size": 4} if data is x else {})
        )
    assert_same_weights(student, other)


@core
def test_labelled_and_unlabelled_training_follow_each_other():
    x, y = examples(8)
    model = distiller(net(), net(9, seed=1), alpha=0.0, compiled={"metrics": ["accuracy"]})
    first = model.fit(x, verbose=0).history
    second = model.fit(x, y, verbose=0).history
    third = model.fit(x, verbose=0).history
    assert "student_loss" in second
    assert "student_loss" not in first and "student_loss" not in third


def nothing():
    yield from ()


@core
@pytest.mark.parametrize(
    "data", [lambda: (np.zeros((0, 4)), np.zeros(0)), lambda: (nothing(),), lambda: (Batches([]),)]
)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_data_set_that_yields_nothing_is_an_error(method, data):
    student = net()
    before = numbers(student)
    model = distiller(student, net(9, seed=1))
    with pytest.raises(ValueError, match=r"no batch|at least one batch|length 0"):
        getattr(model, method)(*data(), verbose=0)
    assert largest_move(student, before) == 0


@needs_tensorflow
def test_a_tf_data_set_that_yields_nothing_is_an_error():
    import tensorflow as tf

    x, y = examples(8)
    empty = tf.data.Dataset.from_tensor_slices((x, y)).filter(lambda x, y: False).batch(4)
    model = distiller(net(), net(9, seed=1))
    for run in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="no batch"):
            run(empty, verbose=0)
    with pytest.raises(ValueError, match="no batch"):
        model.fit(x, y, validation_data=empty, verbose=0)


@core
def test_a_fit_that_has_no_epoch_left_is_no_error():
    x, y = examples(8)
    model = distiller(net(), net(9, seed=1))
    assert model.fit(x, y, epochs=2, initial_epoch=2, verbose=0).history == {}


# What accelerates the step

COMPILED = {
    "run_eagerly": {"run_eagerly": True},
    "steps_per_execution": {"steps_per_execution": 3},
    "jit_compile": {"jit_compile": True},
    "no jit_compile": {"jit_compile": False},
}


@core
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(how, marks=one_step_at_a_time if how == "steps_per_execution" else ())
        for how in COMPILED
    ],
)
def test_the_training_is_the_same_however_the_step_runs(how):
    # Another order of float32 sums: a few units in the last place a step.
    assert_same_training(reference(), trained(examples(12), batch_size=5, compiled=COMPILED[how]))


@core
def test_a_step_of_two_accumulated_batches_is_that_of_one_of_their_size():
    x, y = examples(8)
    once = trained((x, y), batch_size=8, epochs=1)[0]
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    twice = trained((x, y), batch_size=4, epochs=1, compiled={"optimizer": optimizer})[0]
    assert_same_weights(once, twice)


OUTPUT_LOSSES = {
    "KDLoss": {},
    "SoftCrossEntropyLoss": {},
    "LogitsMSELoss": {},
    "HardLabelLoss": {},
    "BinaryKDLoss": {},
    "RegressionLoss": {},
    "BoundedRegressionLoss": {"loss": "mse"},
}
FEATURE_LOSSES = ["ATLoss", "CosineFeatureLoss", "FitNetLoss"]


def image_net(size, width, seed):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((size, size, 1))
    channels_last = {"data_format": "channels_last"}
    maps = layers.Conv2D(width, 3, name="maps", **channels_last)(inputs)
    pooled = layers.GlobalAveragePooling2D(**channels_last)(maps)
    return keras.Model(inputs, layers.Dense(3)(pooled))


def test_every_loss_of_any_values_is_compiled_under_xla_below():
    # The other losses are compiled by the contract that their tests inherit.
    assert {*every_loss.NAMES} == {*OUTPUT_LOSSES, *FEATURE_LOSSES}


@core
@pytest.mark.parametrize("name", [*OUTPUT_LOSSES, *FEATURE_LOSSES])
def test_every_loss_compiles_under_xla_and_gives_what_it_gives_eagerly(name):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 6, 6, 1)).astype("float32"), rng.integers(0, 3, 8)
    compiled = dict(OUTPUT_LOSSES.get(name, {}))
    if compiled:
        y = np.eye(3, dtype="float32")[y]
    runs = []
    for how in ({"jit_compile": True}, {"run_eagerly": True}):
        student = image_net(6, 2, 0)
        loss = getattr(losses, name)
        if name in FEATURE_LOSSES:  # of another width
            arguments = {"feature_losses": [loss(layers={"maps": "maps"}, weight=1.0)]}
        else:
            arguments = {"kd_loss": loss()}
        model = distiller(student, image_net(6, 4, 1), compiled={**compiled, **how}, **arguments)
        history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        runs.append((student, history))
    assert_same_training(*runs, rtol=1e-4)


@core
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_nearly_as_float32_does(policy):
    def half():
        return net(dtype=keras.DTypePolicy(policy))

    mixed = trained(examples(12), batch_size=5, make=half)
    # bfloat16 keeps 8 bits, float16 11: the losses agree to about that.
    rtol = 2e-2 if policy == "mixed_bfloat16" else 5e-3
    for name in ("loss", "student_loss", "kd_loss", "fit_net_loss"):
        np.testing.assert_allclose(mixed[1][name], reference()[1][name], rtol=rtol, atol=1e-3)
    for a, b in zip(numbers(mixed[0]), numbers(reference()[0]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-2)
    assert all(weight.dtype == "float32" for weight in mixed[0].weights)


@core
def test_a_mixed_float16_student_gets_loss_scaling_as_plain_keras_gives_it():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        student, teacher = net(), net(9, seed=1)
    finally:
        keras.config.set_dtype_policy(before)
    model = distiller(student, teacher)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert np.isfinite(model.fit(*examples(8), verbose=0).history["loss"][0])
    assert float(model.alpha) == pytest.approx(0.1, abs=1e-8)  # not rounded to half precision


@core
def test_the_global_policy_leaves_float32_models_alone():
    x, y = examples(12)
    before = keras.config.dtype_policy()
    student, teacher = net(), net(9, seed=1)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = distiller(
            student, teacher, alpha=0.3, feature_losses=[FitNetLoss(layers=HINT, weight=0.5)]
        )
        history = model.fit(x, y, batch_size=5, epochs=2, verbose=0, shuffle=False).history
    finally:
        keras.config.set_dtype_policy(before)
    assert_same_training((student, history), reference())


# What users do with a model that trains


@core
def test_train_on_batch_and_test_on_batch_are_fit_and_evaluate():
    x, y = examples(8)
    student, history = trained((x, y), batch_size=8, epochs=1)
    other = net()
    model = distiller(
        other, net(9, seed=1), alpha=0.3, feature_losses=[FitNetLoss(layers=HINT, weight=0.5)]
    )
    logs = model.train_on_batch(x, y, return_dict=True)
    assert_same_weights(other, student)
    for name, values in history.items():
        assert float(logs[name]) == pytest.approx(values[0], rel=1e-5), name
    model.reset_metrics()
    tested = model.test_on_batch(x, y, return_dict=True)
    evaluated = model.evaluate(x, y, return_dict=True, verbose=0)
    for name, value in evaluated.items():
        assert float(tested[name]) == pytest.approx(value, rel=1e-5), name
    np.testing.assert_array_equal(model.predict_on_batch(x), other.predict_on_batch(x))


@core
def test_retraining_recompiling_and_other_batch_sizes_go_on_where_training_stood():
    x, y = examples(12)
    other = net()
    model = distiller(
        other, net(9, seed=1), alpha=0.3, feature_losses=[FitNetLoss(layers=HINT, weight=0.5)]
    )
    model.fit(x, y, batch_size=5, shuffle=False, verbose=0)
    model.compile(sgd(), cross_entropy())  # SGD without momentum has no state to lose
    model.fit(x, y, batch_size=5, shuffle=False, verbose=0)
    assert_same_weights(other, reference()[0])
    for size in (12, 7):
        assert np.isfinite(model.fit(x, y, batch_size=size, verbose=0).history["loss"][0])


@core
def test_compile_takes_metrics_and_weighted_metrics_by_output():
    def heads(seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((4,))
        return keras.Model(inputs, {n: layers.Dense(3, name=n)(inputs) for n in "ab"})

    x, y = examples(8)
    labels, weights = {"a": y, "b": y}, {"a": np.ones(8), "b": np.arange(8.0)}
    found = []
    for model in (heads(0), Distiller(heads(0), heads(1))):
        model.compile(
            sgd(),
            loss={"a": cross_entropy(), "b": cross_entropy()},
            loss_weights={"a": 1.0, "b": 0.5},
            metrics={"a": ["accuracy"]},
            weighted_metrics={"b": ["accuracy"]},
        )
        found.append(model.evaluate(x, labels, sample_weight=weights, return_dict=True, verbose=0))
    for name, value in found[0].items():
        assert found[1][name] == pytest.approx(value, rel=1e-5), name


@core
def test_callbacks_that_stop_and_save_work(tmp_path):
    x, y = examples(12)
    model = distiller(net(), net(9, seed=1), compiled={"metrics": ["accuracy"]})
    callbacks = [
        keras.callbacks.EarlyStopping("val_accuracy", patience=1, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("val_loss"),
        keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
        keras.callbacks.ModelCheckpoint(str(tmp_path / "best.weights.h5"), save_weights_only=True),
        keras.callbacks.TerminateOnNaN(),
    ]
    model.fit(x, y, validation_data=(x, y), epochs=2, verbose=0, callbacks=callbacks)
    before = model.student.get_weights()
    model.load_weights(tmp_path / "best.weights.h5")
    assert len(before) == 4


@needs_tensorflow
def test_changing_alpha_temperature_or_a_weight_makes_no_other_trace():
    import tensorflow as tf

    traced = []

    @keras.saving.register_keras_serializable(package="tests")
    class Traced(layers.Layer):
        def call(self, x):
            if tf.inside_function():
                traced.append(None)
            return x

    inputs = keras.Input((4,))
    student = keras.Model(inputs, layers.Dense(3)(Traced()(layers.Dense(5, name="hidden")(inputs))))

    class Change(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.alpha.assign(0.1 * (batch % 5))
            self.model.temperature.assign(1.0 + batch)
            self.model.term_weights["fit_net_loss"].assign(batch)

    x, y = examples(16)
    model = distiller(
        student, net(9, seed=1), alpha=0.5, feature_losses=[FitNetLoss(layers=HINT, weight=0.5)]
    )
    model.optimizer.build(model.trainable_variables)
    model.fit(x, y, batch_size=4, verbose=0)
    once = len(traced)
    model.fit(x, y, batch_size=4, epochs=3, verbose=0, callbacks=[Change()])
    assert len(traced) == once


@needs_tensorflow
def test_a_training_loop_of_ones_own_gets_the_same_update():
    import tensorflow as tf

    x, y = examples(8)
    taught = trained((x, y), batch_size=8, epochs=1)[0]
    student = net()
    model = distiller(
        student, net(9, seed=1), alpha=0.3, feature_losses=[FitNetLoss(layers=HINT, weight=0.5)]
    )

    @tf.function
    def step(x, y):
        return model.train_step((x, y))

    logs = step(tf.constant(x), tf.constant(y))
    assert_same_weights(student, taught)
    assert float(logs["fit_net_loss"]) > 0


@needs_tensorflow
def test_predict_and_calls_give_the_students_outputs():
    x, _ = examples(8)
    student = net()
    model = Distiller(student, net(9, seed=1))
    model.compile()
    np.testing.assert_array_equal(model.predict(x, verbose=0), student.predict(x, verbose=0))
    np.testing.assert_array_equal(np.asarray(model(x)), np.asarray(student(x)))


@core
def test_the_students_dropout_drops_and_the_teachers_does_not():
    def dropping(seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((64,))
        dropped = layers.Dropout(0.5, name="drop")(inputs)
        return keras.Model(inputs, layers.Dense(3)(dropped))

    hint = losses.RegressionLoss(layers={"drop": "drop"}, name="drop_loss")
    model = distiller(
        dropping(0), dropping(1), feature_losses=[hint], compiled={"optimizer": sgd(0.0)}
    )
    x = np.ones((4, 64), "float32")
    history = model.fit(x, np.zeros(4), epochs=2, verbose=0).history
    # A unit is doubled or 0: each is 1 away from a teacher that drops none.
    assert history["drop_loss"] == [64.0, 64.0]
    assert history["kd_loss"][0] != history["kd_loss"][1]  # another mask in each step


@core
def test_the_distillation_loss_of_an_epoch_is_the_mean_over_its_examples():
    x, y = examples(10)
    student, teacher = net(), net(9, seed=1)
    z_s, z_t = student.predict(x, verbose=0), teacher.predict(x, verbose=0)
    model = distiller(
        student, teacher, kd_loss=KDLoss(temperature=2.0), compiled={"optimizer": sgd(0.0)}
    )
    history = model.fit(x, y, batch_size=3, verbose=0).history
    assert history["kd_loss"][0] == pytest.approx(kd(z_t, z_s, 2.0).mean(), rel=1e-4)
    assert history["student_loss"][0] == pytest.approx(
        -log_softmax(z_s)[range(10), y].mean(), rel=1e-5
    )

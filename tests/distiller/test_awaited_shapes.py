"""Without a teacher, feature losses take shapes from data, and say what is missing."""

import functools

import keras
import numpy as np
import pytest
from carrying import assert_same_run, carried, fit, make, nets, with_shapes
from models_for_tests import assert_same_weights
from nets_for_losses import student_net, teacher_net
from variants import first_of

from keras_kd.callbacks import FeatureMatching, LossWeightScheduler
from keras_kd.features import Tap, student_with_teacher_classifier
from keras_kd.losses import FitNetLoss, GradientLoss, KDLoss, SimKDLoss

pytestmark = [pytest.mark.core, pytest.mark.alike]
needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of the TensorFlow backend"
)
KEY = "stage2"


def hint(theirs=KEY, **kwargs):
    return FitNetLoss(layers={"stage2": theirs}, **kwargs)


def data():
    return carried(teacher_net(), [Tap(KEY)], index=False)


@functools.cache
def of_arrays():
    """A Distiller that arrays have told the shapes, and its history."""
    x, y = data()
    model = make(student_net(), None, hint())
    return model, fit(model, x, y)


def message(run, *args, **kwargs):
    with pytest.raises(ValueError) as error:
        run(*args, **kwargs)
    return str(error.value)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, size=8, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return len(self.y) // self.size

    def __getitem__(self, index):
        part = slice(index * self.size, (index + 1) * self.size)
        return keras.tree.map_structure(lambda z: z[part], (self.x, self.y))


# Kinds of data


def test_pydatasets_tell_shapes_by_their_first_batch():
    x, y = data()
    arrays, expected = of_arrays()
    batches = make(student_net(), None, hint())
    assert_same_run(arrays, batches, expected, fit(batches, Batches(x, y)))


@needs_tensorflow
@first_of("drop_remainder", [False, True])
def test_tf_data_tell_shapes_before_they_run(drop_remainder):
    import tensorflow as tf

    x, y = data()
    arrays, expected = of_arrays()
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(8, drop_remainder=drop_remainder)
    model = make(student_net(), None, hint())
    assert_same_run(arrays, model, expected, fit(model, dataset))
    (tap,) = model.feature_terms[0].loss.layers.values()
    assert tap == Tap(KEY, shape=(None, 4, 4, 10))


def test_a_generator_needs_shapes_that_are_given():
    x, y = data()

    def batches():
        while True:
            yield from (Batches(x, y)[index] for index in range(2))

    text = message(fit, make(student_net(), None, hint()), batches(), steps_per_epoch=2)
    assert "Tap('stage2', shape=(None, ...))" in text and "x of type generator" in text
    arrays, expected = of_arrays()
    model = make(student_net(), None, with_shapes(hint(), x))
    assert_same_run(arrays, model, expected, fit(model, batches(), steps_per_epoch=2))


def test_an_empty_data_set_is_told_as_such():
    x, y = data()
    empty = Batches(x, y[:0])
    assert "no batch" in message(fit, make(student_net(), None, hint()), empty)


@needs_tensorflow
def test_a_rank_that_is_not_known_must_be_given():
    import tensorflow as tf

    x, y = data()
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)

    def forget(x, y):
        (value,) = x["teacher_features"].values()
        features = {KEY: tf.numpy_function(lambda z: z, [value], tf.float32)}
        return {**x, "teacher_features": features}, y

    text = message(fit, make(student_net(), None, hint()), dataset.map(forget))
    assert "Tap('stage2', shape=(None, ...))" in text


# What is missing


def test_a_feature_that_the_data_do_not_carry_is_an_error_that_names_those_they_do():
    x, y = data()
    text = message(fit, make(student_net(), None, hint("stage1")), x, y)
    assert "key='stage1'. Did you mean 'stage2'? Available: ['stage2']" in text
    text = message(fit, make(student_net(), None, hint(Tap(KEY, side="input"))), x, y)
    assert "key='stage2:input'" in text and "Available: ['stage2']" in text
    text = message(fit, make(student_net(), None, hint()), x["inputs"], y, batch_size=8)
    assert "'teacher_features': {key: value}" in text and "Available: []" in text


def test_a_loss_whose_shapes_are_known_asks_for_its_data_at_fit_too():
    x, y = data()
    model = make(student_net(), None, hint(Tap(KEY, shape=(None, 4, 4, 7))))
    text = message(fit, model, x, y)
    assert "shape=(None, 4, 4, 7)" in text and "in the data: shape=(None, 4, 4, 10)" in text
    del x["teacher_features"]
    assert "Available: []" in message(fit, model, x, y)


def test_a_shape_that_cannot_be_compared_names_both_layers_and_shapes():
    x, y = data()
    x["teacher_features"][KEY] = x["teacher_features"][KEY].mean(axis=(1, 2))
    model = make(student_net(), None, hint())
    text = message(fit, model, x, y)
    assert "student output of 'stage2' and teacher output of 'stage2' (fit_net_loss)" in text
    assert "student=(None, 4, 4, 6)" in text and "teacher=(None, 10)" in text
    x, y = data()  # the loss goes on waiting for data that fit
    assert np.isfinite(fit(model, x, y, epochs=1)["fit_net_loss"]).all()


def test_a_step_before_any_fit_is_an_error():
    x, y = data()
    model = make(student_net(), None, hint(), validate_with_teacher=True)
    for step in (model.train_on_batch, model.test_on_batch):
        text = message(step, x, y)
        assert "Tap('stage2', shape=(None, ...))" in text
        assert "Received: feature loss 'fit_net_loss'" in text
    fit(model, x, y, epochs=1)
    assert np.isfinite(model.train_on_batch(x, y)).all()


def test_a_gradient_loss_needs_the_teacher_itself():
    text = message(make, student_net(), None, GradientLoss())
    assert "GradientLoss differentiates the teacher" in text and "teacher=None" in text


def test_simkds_model_needs_the_teacher_itself():
    x, y = data()
    loss = SimKDLoss(layers={"stage2": "stage2"})
    model = make(student_net(), None, loss)
    fit(model, x, y, epochs=1)
    assert "set_weights(distiller.get_weights())" in message(student_with_teacher_classifier, model)
    full = make(*nets(), loss)
    full.set_weights(model.get_weights())
    student, projector, classifier = student_with_teacher_classifier(full).layers[-3:]
    values = [keras.ops.convert_to_numpy(w) for w in model.feature_terms[0].parts[0].weights]
    for weight, value in zip(projector.weights, values, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), value)
    assert classifier.output_shape == (None, 10) and student.output_shape == (None, 4, 4, 6)


def test_names_of_losses_that_wait_are_taken():
    model = make(student_net(), None, hint())
    assert "name='fit_net_loss'" in message(model.attach, hint())


def test_a_loss_that_waits_cannot_start_at_weight_0():
    model = make(student_net(), None, None)
    assert "Tap('stage2', shape=(None, ...))" in message(model.attach, hint(), active=False)
    term = model.attach(hint(Tap(KEY, shape=(None, 4, 4, 10))), active=False)
    assert float(keras.ops.convert_to_numpy(term.loss_weight)) == 0.0


def test_the_users_loss_is_left_as_it_was():
    loss = hint()
    x, y = data()
    fit(make(student_net(), None, loss), x, y, epochs=1)
    assert loss.layers == {"stage2": "stage2"}
    live = make(*nets(), loss)
    assert np.isfinite(fit(live, x["inputs"], y, epochs=1, batch_size=8)["loss"]).all()


# Evaluating, callbacks, saving


def test_validation_with_the_carried_values_tells_shapes():
    x, y = data()
    model = make(student_net(), None, hint(), validate_with_teacher=True)
    first = model.evaluate(x, y, batch_size=8, return_dict=True, verbose=0)
    assert len(model.feature_terms) == 1
    history = fit(model, x, y, epochs=1, validation_data=(x, y), validation_batch_size=8)
    assert set(history) == {*first, *(f"val_{name}" for name in first)}


def test_validation_without_a_teacher_needs_no_features():
    x, y = data()
    model = make(student_net(), None, hint())
    assert set(model.evaluate(x["inputs"], y, return_dict=True, verbose=0)) == {
        "loss",
        "student_loss",
    }
    history = fit(model, x, y, epochs=1, validation_data=(x["inputs"], y))
    assert np.isfinite(history["val_loss"]).all()


def schedule(**kwargs):
    return [
        FeatureMatching(hint(weight=0.5), start_epoch=1, stop_epoch=3, **kwargs),
        LossWeightScheduler("kd_loss", lambda epoch, weight: 1.0 + epoch),
    ]


def test_feature_matching_attaches_in_the_shapes_of_the_data():
    x, y = data()
    live, told = make(*nets(), None), make(student_net(), None, None)
    keras.utils.set_random_seed(4)
    expected = fit(live, x["inputs"], y, epochs=4, batch_size=8, callbacks=schedule())
    keras.utils.set_random_seed(4)
    history = fit(told, x, y, epochs=4, callbacks=schedule())
    assert_same_run(live, told, expected, history)
    assert history["fit_net_loss_weight"] == [0.0, 0.5, 0.5, 0.0]
    fit(told, x, y, epochs=1, callbacks=schedule())  # takes up the same loss
    assert len(told.feature_terms) == 1


@pytest.mark.slow
@pytest.mark.parametrize("attached", ["from the start", "by FeatureMatching"])
def test_a_saved_distiller_goes_on_where_it_stopped(tmp_path, attached):
    x, y = data()
    loss = hint() if attached == "from the start" else None

    def run(model, **kwargs):
        callbacks = [] if loss is not None else schedule()
        return fit(model, x, y, callbacks=callbacks, **kwargs)

    unbroken = make(student_net(), None, loss)
    expected = run(unbroken, epochs=4)
    first = make(student_net(), None, loss)
    run(first, epochs=2)
    first.save(tmp_path / "distiller.keras")
    resumed = keras.saving.load_model(tmp_path / "distiller.keras")
    assert len(resumed.feature_terms) == 1
    history = run(resumed, epochs=4, initial_epoch=2)
    assert_same_weights(resumed, unbroken)
    for name, values in history.items():
        np.testing.assert_allclose(values, expected[name][2:], rtol=1e-5, err_msg=name)


def test_a_distiller_that_waits_is_saved_as_one_that_waits(tmp_path):
    x, y = data()
    model = make(student_net(), None, hint(weight=0.5))
    model.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    histories = []
    for each in (model, loaded):
        keras.utils.set_random_seed(0)
        histories.append(fit(each, x, y, epochs=1))
    assert_same_run(model, loaded, *histories, atol=0.0)


def test_a_loss_for_other_layers_is_the_same_otherwise():
    loss = KDLoss(temperature=2.0, weight=3.0, layers={"a": "b"}, name="mine")
    other = loss.with_layers({"c": Tap("d")})
    assert type(other) is KDLoss and loss.layers == {"a": "b"}
    assert other.get_config()["layers"] != loss.get_config()["layers"]
    assert {**other.get_config(), "layers": None} == {**loss.get_config(), "layers": None}

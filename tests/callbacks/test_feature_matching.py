import keras
import numpy as np
import pytest
from tiny import data, distiller, weights

from keras_kd.callbacks import AlphaScheduler, FeatureMatching, LossWeightScheduler
from keras_kd.losses import FitNetLoss, KDLoss

pytestmark = pytest.mark.core

X, Y = data()


def hint(**kwargs):
    return FitNetLoss(layers={"hidden": "hidden"}, weight=2.0, **kwargs)


def fit(model, *callbacks, epochs=4, **kwargs):
    kwargs = {"batch_size": 16, "shuffle": False, "verbose": 0, **kwargs}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **kwargs).history


def test_the_loss_counts_from_its_first_epoch_to_its_last():
    history = fit(distiller(), FeatureMatching(hint(), start_epoch=1, stop_epoch=3))
    assert history["fit_net_loss_weight"] == [0.0, 2.0, 2.0, 0.0]
    expected = 0.3 * np.array(history["student_loss"]) + 0.7 * np.array(history["kd_loss"])
    expected += np.array(history["fit_net_loss_weight"]) * np.array(history["fit_net_loss"])
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)  # float32 means


@pytest.mark.alike
def test_its_projector_is_trained_with_the_student_and_absent_from_it():
    model = distiller()
    names = [v.path for v in model.student.weights]
    fit(model, FeatureMatching(hint()), epochs=1)
    (term,) = model.feature_terms
    before = weights(term.projectors[0])
    fit(model, FeatureMatching(hint()), epochs=1)
    assert any(
        not np.array_equal(a, b) for a, b in zip(before, weights(term.projectors[0]), strict=True)
    )
    assert [v.path for v in model.student.weights] == names


def test_a_loss_that_joins_trains_as_one_that_was_there():
    early, late = distiller(feature_losses=[hint()]), distiller()

    class SameProjector(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.feature_terms[0].set_weights(weights(early.feature_terms[0]))

    fit(late, FeatureMatching(hint()), SameProjector(), epochs=2)
    fit(early, epochs=2)
    for part in (lambda model: model.student, lambda model: model.feature_terms[0]):
        for a, b in zip(weights(part(late)), weights(part(early)), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.alike
def test_a_second_fit_takes_up_the_same_loss():
    model = distiller()
    fit(model, FeatureMatching(hint()), epochs=1)
    fit(model, FeatureMatching(hint()), epochs=1)
    assert len(model.feature_terms) == 1


@pytest.mark.alike
def test_attaching_to_a_trained_distiller_keeps_its_optimizer_state():
    model = distiller(keras.optimizers.Adam(0.01))
    fit(model, epochs=1)
    before = {v.path: keras.ops.convert_to_numpy(v) for v in model.optimizer.variables}
    model.attach(hint(), active=False)
    after = {v.path: keras.ops.convert_to_numpy(v) for v in model.optimizer.variables}
    for path, value in before.items():
        np.testing.assert_array_equal(after[path], value, err_msg=path)
    assert len(after) > len(before)
    fit(model, epochs=1)


def test_fitnets_two_stages_run_in_one_fit():
    model = distiller(alpha=0.0)
    history = fit(
        model,
        FeatureMatching(hint(), stop_epoch=2),
        LossWeightScheduler("kd_loss", lambda epoch: 0.0 if epoch < 2 else 1.0),
        AlphaScheduler(lambda epoch: 0.0 if epoch < 2 else 0.1),
    )
    np.testing.assert_allclose(history["loss"][:2], 2.0 * np.array(history["fit_net_loss"][:2]))
    assert history["fit_net_loss"][1] < history["fit_net_loss"][0]
    late = 0.1 * np.array(history["student_loss"][2:]) + 0.9 * np.array(history["kd_loss"][2:])
    np.testing.assert_allclose(history["loss"][2:], late, rtol=1e-5)


def test_another_loss_of_the_same_name_is_refused():
    model = distiller(feature_losses=[FitNetLoss(layers={"relu": "relu"})])
    with pytest.raises(ValueError, match="Two losses of one name"):
        fit(model, FeatureMatching(hint()))


def test_a_loss_without_layers_is_refused():
    with pytest.raises(ValueError, match="Received: layers=None"):
        FeatureMatching(KDLoss())


@pytest.mark.parametrize(
    "epochs", [{"start_epoch": -1}, {"start_epoch": 1.5}, {"start_epoch": 3, "stop_epoch": 3}]
)
def test_epochs_in_no_order_are_refused(epochs):
    with pytest.raises(ValueError, match="Received: start_epoch"):
        FeatureMatching(hint(), **epochs)

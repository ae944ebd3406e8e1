import keras
import numpy as np
import pytest
from models_for_tests import distiller, examples, heads, net

from keras_kd import losses
from keras_kd.callbacks import AlphaScheduler, EquationLogger, LossWeightScheduler, Strengthen

pytestmark = pytest.mark.core
X, Y = examples(8)


def test_it_logs_every_number_of_the_equation_under_the_names_of_the_schedules():
    hint = losses.FitNetLoss(layers={"hidden": "hidden"}, weight=0.25)
    model = distiller(net(), net(8, seed=1), alpha=0.3, temperature=2.0, feature_losses=[hint])
    callbacks = [
        AlphaScheduler(lambda epoch, alpha: alpha + 0.1),
        LossWeightScheduler("fit_net_loss", lambda epoch, weight: 2.0 * weight),
        EquationLogger(),
    ]
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks).history
    for name, values in {
        "alpha": [0.4, 0.5],
        "temperature": [2.0, 2.0],
        "kd_loss_weight": [1.0, 1.0],
        "fit_net_loss_weight": [0.5, 1.0],
    }.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-6, err_msg=name)


@pytest.mark.alike
def test_each_output_has_its_weight():
    kd_loss = {"a": losses.KDLoss(weight=2.0), "b": losses.KDLoss()}
    model = distiller(heads("ab"), heads("ab", seed=1), alpha=0.0, kd_loss=kd_loss)
    logs = {}
    callback = EquationLogger()
    callback.set_model(model)
    callback.on_epoch_end(0, logs)
    assert logs == pytest.approx(
        {"alpha": 0.0, "temperature": 4.0, "a_kd_loss_weight": 2.0, "b_kd_loss_weight": 1.0}
    )


@pytest.mark.alike
def test_before_strengthen_it_logs_what_the_epoch_had():
    model = distiller(net(), net(8, seed=1), alpha=0.5)
    strengthen = Strengthen("loss", 0.0, mode="min", min_delta=100.0, alpha_step=0.2)
    callbacks = [EquationLogger(), strengthen]
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=callbacks).history
    np.testing.assert_allclose(history["alpha"], [0.5, 0.5, 0.3], rtol=1e-6)


@pytest.mark.alike
def test_a_plain_model_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="Received: model=Sequential"):
        model.fit(X, Y, verbose=0, callbacks=[EquationLogger()])

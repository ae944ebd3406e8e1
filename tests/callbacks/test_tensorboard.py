"""Keras' TensorBoard callback beside a Distiller."""

import keras
import numpy as np
import pytest
from models_for_tests import EAGER, distiller, examples, net

from keras_kd import losses
from keras_kd.callbacks import AlphaScheduler, EquationLogger, LossShares, TeacherGap

pytest.importorskip("tensorboard")


def scalars(folder):
    """The values that event files hold, in the order of their steps, by tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    found.Reload()
    return {
        tag: [float(make_ndarray(event.tensor_proto)) for event in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
        if tag.startswith(("epoch_", "batch_", "evaluation_"))
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What `fit` logged, and what the event files of training and validation hold."""
    x, y = examples()
    hint = losses.FitNetLoss(layers={"hidden": "hidden"}, weight=0.5)
    model = distiller(
        net(), net(8, seed=1), compiled={"metrics": ["accuracy"], **EAGER}, feature_losses=[hint]
    )
    folder = tmp_path_factory.mktemp("board")
    history = model.fit(
        x,
        y,
        batch_size=4,
        epochs=2,
        verbose=0,
        validation_data=(x, y),
        callbacks=[
            AlphaScheduler(lambda epoch, alpha: 0.1 + 0.2 * epoch),
            LossShares(),
            EquationLogger(),
            TeacherGap((x, y)),
            keras.callbacks.TensorBoard(folder, update_freq=1, histogram_freq=1),
        ],
    ).history
    return history, scalars(folder / "train"), scalars(folder / "validation")


def test_it_writes_every_epoch_what_the_distiller_logs(written):
    history, training, validation = written
    for name in (
        "loss",
        "student_loss",
        "kd_loss",
        "fit_net_loss",
        "accuracy",
        "kd_loss_share",
        "alpha",
        "temperature",
        "kd_loss_weight",
        "fit_net_loss_weight",
        "teacher_agreement",
        "teacher_kl",
    ):
        np.testing.assert_allclose(training[f"epoch_{name}"], history[name], rtol=1e-6)
    np.testing.assert_allclose(training["epoch_alpha"], [0.1, 0.3], rtol=1e-6)
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(validation[f"epoch_{name}"], history[f"val_{name}"], rtol=1e-6)


def test_it_writes_every_term_of_every_batch_if_asked_to(written):
    _, training, _ = written
    for name in ("loss", "student_loss", "kd_loss", "fit_net_loss", "accuracy"):
        assert len(training[f"batch_{name}"]) == 6

"""What is assigned to a Distiller counts from then on, or says that it cannot."""

import re

import keras
import numpy as np
import pytest
from models_for_tests import COMPILED, distiller, examples, inferred, kd, net

from keras_kd import callbacks
from keras_kd.losses import KDLoss, RegressionLoss

pytestmark = pytest.mark.core

X, Y = examples()


def logged(model, name="loss"):
    return model.fit(X, Y, verbose=0, shuffle=False).history[name][0]


@pytest.fixture
def still():
    """A Distiller that learns nothing, so that its terms stay."""
    optimizer = keras.optimizers.SGD(0.0)
    return distiller(net(), net(8, seed=1), compiled={"optimizer": optimizer, **COMPILED})


def test_alpha_and_temperature_count_from_the_next_step(still, tmp_path):
    first = still.fit(X, Y, verbose=0).history
    still.alpha = 1.0
    assert logged(still) == pytest.approx(first["student_loss"][0], rel=1e-6)
    still.alpha, still.temperature = 0, 1.0
    answers = [inferred(model, X) for model in (still.teacher, still.student)]
    assert logged(still) == pytest.approx(kd(*answers, 1.0).mean(), rel=1e-5)
    still.alpha += 0.25
    still.save(tmp_path / "d.keras")
    found = keras.saving.load_model(tmp_path / "d.keras")
    assert [float(found.alpha), float(found.temperature)] == [0.25, 1.0]
    assert still.get_config()["alpha"] == 0.25


def test_schedulers_go_on_from_what_was_assigned(still):
    still.alpha = 0.5
    halve = callbacks.AlphaScheduler(lambda epoch, alpha: alpha / 2)
    history = still.fit(X, Y, epochs=2, callbacks=[halve], verbose=0).history
    assert history["alpha"] == [0.25, 0.125]


def test_what_evaluate_runs_can_be_assigned(still):
    assert still.evaluate(X, Y, verbose=0, return_dict=True).keys() == {"loss", "student_loss"}
    still.validate_with_teacher = True
    assert "kd_loss" in still.evaluate(X, Y, verbose=0, return_dict=True)
    still.validate_with_teacher = False
    assert "kd_loss" not in still.evaluate(X, Y, verbose=0, return_dict=True)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("alpha", 2.0, ValueError),
        ("alpha", "0.5", TypeError),
        ("alpha", np.ones(2), TypeError),
        ("temperature", 0.0, ValueError),
        ("temperature", None, TypeError),
        ("validate_with_teacher", "no", ValueError),
        ("validate_with_teacher", 1, ValueError),
    ],
)
def test_the_checks_are_those_of_the_constructor(still, name, value, error):
    before = getattr(still, name)
    before = before if isinstance(before, bool) else float(before)
    with pytest.raises(error, match=f"{name}.*Received: {name}=") as assigned:
        setattr(still, name, value)
    assert getattr(still, name) == before
    with pytest.raises(error, match=re.escape(str(assigned.value))):
        distiller(net(), net(8, seed=1), **{name: value})


@pytest.mark.parametrize(
    "name", ["student", "teacher", "teacher_dtype", "kd_loss", "feature_losses"]
)
def test_what_is_wired_together_says_that_it_cannot_change(still, name):
    value = {"feature_losses": [RegressionLoss()]}.get(name)
    before = still.student, still.teacher
    with pytest.raises(AttributeError, match=f"`{name}` cannot change.*make a new one"):
        setattr(still, name, value)
    assert (still.student, still.teacher) == before


def test_a_loss_in_a_distiller_stays_as_it_was_made():
    loss = KDLoss(weight=2.0)
    loss.weight = 3.0
    model = distiller(net(), net(8, seed=1), kd_loss=loss)
    assert float(model.term_weights["kd_loss"]) == 3.0
    for name, value in {"weight": 1.0, "temperature": 1.0, "ignore_class": 0}.items():
        with pytest.raises(AttributeError, match=rf"`{name}`.*make a new loss with {name}=\.\.\."):
            setattr(loss, name, value)
    loss.note = "of the user"
    assert type(loss).from_config(loss.get_config()).weight == 3.0


def test_a_variable_is_read_and_not_taken_over(tmp_path):
    model, other = (distiller(net(), net(8, seed=1)) for _ in range(2))
    other.alpha = 0.75
    model.alpha, model.temperature = other.alpha, keras.Variable(2.0)
    assert len(model.variables) == len(other.variables)
    model.save(tmp_path / "d.keras")
    found = keras.saving.load_model(tmp_path / "d.keras")
    assert [float(found.alpha), float(found.temperature)] == [0.75, 2.0]
    with pytest.raises(TypeError, match="item assignment"):
        model.term_weights["kd_loss"] = 100.0

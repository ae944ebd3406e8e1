"""What a Distiller shows of its equation: logs that add up, a warning, a summary."""

import keras
import numpy as np
import pytest
from models_for_tests import CLASSES, distiller, examples, net, sgd
from variants import alike_but_first

from keras_kd.callbacks import LossShares
from keras_kd.losses import FitNetLoss

pytestmark = pytest.mark.core

X, Y = examples()


def hinted(weight, **kwargs):
    """A Distiller with a feature loss, on a student with a regulariser."""
    student = net(kernel_regularizer="l2")
    loss = FitNetLoss(layers={"hidden": "hidden"}, weight=weight)
    return distiller(student, net(8, seed=1), feature_losses=[loss], **kwargs)


def test_the_weighted_terms_add_up_to_the_loss():
    model = hinted(3.0, alpha=0.25)
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[LossShares()])
    logs = {name: values[0] for name, values in history.history.items()}
    parts = {
        "student_loss": 0.25 * logs["student_loss"],
        "kd_loss": 0.75 * logs["kd_loss"],
        "fit_net_loss": 3.0 * logs["fit_net_loss"],
    }
    parts["regularisation"] = logs["loss"] - sum(parts.values())
    assert parts["regularisation"] > 0.0
    shares = {name: logs[f"{name}_share"] for name in parts}
    assert sum(shares.values()) == pytest.approx(1.0)
    for name, part in parts.items():
        assert shares[name] == pytest.approx(part / logs["loss"], rel=1e-4), name


def test_a_term_that_leaves_the_others_next_to_nothing_is_told_of_once():
    model = hinted(1e4, alpha=0.5)
    message = r"fit_net_loss is [\d.]+% of the loss.*weight of [\d.]+ would.*10000;.*kd_loss"
    with pytest.warns(UserWarning, match=message) as told:
        model.fit(X, Y, epochs=2, verbose=0)
        model.fit(X, Y, verbose=0, callbacks=keras.callbacks.LambdaCallback())
    assert len([each for each in told if "of the loss" in str(each.message)]) == 1


@alike_but_first(
    "settings",
    [
        {"weight": 0.0, "alpha": 0.0},  # one term alone
        {"weight": 1e-3, "alpha": 0.5},
    ],
)
@pytest.mark.filterwarnings("error:.* of the loss, so that")
def test_what_was_asked_for_is_no_cause_to_warn(settings):
    hinted(**settings).fit(X, Y, verbose=0)


def test_the_advised_weight_makes_half_of_the_loss():
    def still(weight):
        return hinted(weight, alpha=0.5, compiled={"optimizer": sgd(0.0)})

    with pytest.warns(UserWarning, match="would make it half") as told:
        still(1e4).fit(X, Y, verbose=0)
    message = next(str(each.message) for each in told if "half" in str(each.message))
    advised = float(message.split("A weight of ")[1].split()[0])
    history = still(advised).fit(X, Y, verbose=0, callbacks=[LossShares()]).history
    assert history["fit_net_loss_share"][0] == pytest.approx(0.5, abs=0.01)


def test_the_summary_shows_both_models_and_the_equation():
    model, lines = hinted(3.0, alpha=0.25), []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    text = "\n".join(lines)
    assert "loss = 0.25 * student_loss + 0.75 * kd_loss + 3 * fit_net_loss + regularisation" in text
    assert "temperature: 4" in text
    assert f'"{model.teacher.name}" (Functional), {model.teacher.count_params()} parameters' in text
    assert f"{model.student.count_params()} parameters" in text
    assert "hidden (Dense)" in text and "Distiller" in text
    assert "of the losses" in text  # the projector's parameters


def test_sample_weights_weigh_every_term_or_the_labels_alone():
    weights = np.linspace(0.0, 2.0, len(X)).astype("float32")
    class_weight = dict(enumerate(np.linspace(0.5, 2.0, CLASSES)))
    logs = {}
    for where in ("all", "labels", "none"):
        given = {} if where == "none" else {"sample_weight_on": where}
        model = distiller(net(), net(8, seed=1), validate_with_teacher=True, **given)
        if where == "labels":
            assert type(model).from_config(model.get_config()).sample_weight_on == "labels"
            with pytest.raises(AttributeError, match="sample_weight_on"):
                model.sample_weight_on = "all"
        given = {} if where == "none" else {"sample_weight": weights}
        logs[where] = model.evaluate(X, Y, verbose=0, return_dict=True, **given)
        model.fit(X, Y, verbose=0, class_weight=class_weight)
    assert logs["labels"]["student_loss"] == pytest.approx(logs["all"]["student_loss"])
    assert logs["labels"]["student_loss"] != pytest.approx(logs["none"]["student_loss"], rel=1e-3)
    assert logs["labels"]["kd_loss"] == pytest.approx(logs["none"]["kd_loss"])
    assert logs["labels"]["kd_loss"] != pytest.approx(logs["all"]["kd_loss"], rel=1e-3)
    with pytest.raises(ValueError, match=r"'all' or 'labels'.*sample_weight_on='teacher'"):
        distiller(net(), net(8), sample_weight_on="teacher")

import keras
import numpy as np
import pytest
from keras import ops
from models_for_tests import (
    EAGER,
    assert_same_weights,
    cross_entropy,
    distiller,
    examples,
    heads,
    inferred,
    log_softmax,
    net,
    sgd,
    softmax,
)

from keras_kd import Distiller, losses
from keras_kd.callbacks import MappingMonitor
from keras_kd.evaluation.reliability import reliability
from keras_kd.losses import MappedKDLoss
from keras_kd.teachers import MovingAverage, OutputMapping, fit_mapping

pytestmark = pytest.mark.core
X, Y = examples(12)
HELD_OUT = examples(60, seed=7)
FIGURES = {"mapping_kl", "mapping_entropy", "mapping_ece", "mapping_nll"}


def model(kind="temperature", teacher=None, **kwargs):
    loss = MappedKDLoss(OutputMapping(kind, 3))
    teacher = teacher or net(8, seed=1)
    return distiller(net(), teacher, kd_loss=loss, **kwargs)


def fit(model, *callbacks, epochs=2, x=X):
    return model.fit(x, Y, epochs=epochs, verbose=0, callbacks=list(callbacks)).history


@pytest.mark.alike
def test_it_logs_how_far_the_mapping_is_and_how_well_it_does():
    mapped = model()
    history = fit(mapped, MappingMonitor(HELD_OUT, steps=20, validation_split=0.0))
    assert set(history) >= FIGURES
    t = np.exp(float(ops.convert_to_numpy(mapped.output_terms[0].part.log_temperature)))
    z, labels = inferred(mapped.teacher, HELD_OUT[0]), HELD_OUT[1]
    m, p = log_softmax(z / t), log_softmax(z)
    expected = {
        "mapping_kl": (np.exp(m) * (m - p)).sum(-1).mean(),
        "mapping_entropy": -(np.exp(m) * m).sum(-1).mean(),
        "mapping_nll": -m[np.arange(60), labels].mean(),
        "mapping_ece": reliability(labels, softmax(z / t).astype("float32")).ece,
    }
    assert t > 1.1  # labels that the teacher knows nothing of
    for name, value in expected.items():
        assert history[name][-1] == pytest.approx(value, rel=1e-3), name


@pytest.mark.alike
def test_it_goes_on_to_where_fit_mapping_would_come_and_rests_there(capsys):
    mapped = model()
    settings = {"steps": 40, "learning_rate": 0.1, "patience": 1, "min_delta": 1e-3}
    monitor = MappingMonitor(HELD_OUT, **settings, verbose=1)
    history = fit(mapped, monitor, epochs=5)
    at_once = OutputMapping("temperature", 3)
    found = fit_mapping(at_once, HELD_OUT, teacher=mapped.teacher)
    nll = history["mapping_nll"]
    assert nll == sorted(nll, reverse=True)
    assert nll[-1] == pytest.approx(found.nll, abs=3e-3)
    rested = monitor.rested["kd_loss"]
    assert 1 <= rested < 4
    assert history["mapping_kl"][rested:] == [history["mapping_kl"][rested]] * (5 - rested)
    assert f"Epoch {rested + 1}: the mapping of kd_loss rests." in capsys.readouterr().out


def test_the_student_learns_from_the_mapping_that_was_learned():
    # In its second epoch as a student whose loss had that mapping from the beginning.
    mapped = model()
    states = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            found = self.model
            states.append((found.student.get_weights(), found.output_terms[0].part.get_weights()))

    fit(mapped, MappingMonitor(HELD_OUT, steps=20), Keep())
    layer = OutputMapping("temperature", 3)
    layer.set_weights(states[0][1])
    assert layer.temperature > 1.05
    again = distiller(net(), net(8, seed=1), kd_loss=MappedKDLoss(layer))
    again.student.set_weights(states[0][0])
    fit(again, epochs=1)
    assert_same_weights(again.student, mapped.student, atol=1e-5)


@pytest.mark.alike
def test_what_travels_with_the_data_is_mapped_likewise():
    live, x = model(), HELD_OUT[0]
    carried = {"inputs": x, "teacher_outputs": inferred(live.teacher, x)}
    own = {"inputs": X, "teacher_outputs": inferred(live.teacher, X)}
    cached = distiller(net(), kd_loss=MappedKDLoss(OutputMapping("temperature", 3)))
    histories = [
        fit(live, MappingMonitor(HELD_OUT, steps=20), epochs=1),
        fit(cached, MappingMonitor((carried, HELD_OUT[1]), steps=20), epochs=1, x=own),
    ]
    for name in FIGURES:
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-3)


@pytest.mark.alike
def test_each_output_learns_its_own():
    loss = {name: MappedKDLoss(OutputMapping("temperature", 3)) for name in "ab"}
    student, teacher = heads("abc"), heads("abc", seed=1)
    mapped = Distiller(student, teacher, kd_loss={**loss, "c": losses.KDLoss()})
    mapped.compile(sgd(), dict.fromkeys("abc", cross_entropy()), **EAGER)
    x, labels = HELD_OUT
    monitor = MappingMonitor((x, {"a": labels, "b": labels % 2, "c": labels}), steps=20)
    history = mapped.fit(X, dict.fromkeys("abc", Y), verbose=0, callbacks=[monitor]).history
    names = {f"{name}_{figure}" for name in "ab" for figure in FIGURES}
    assert {name for name in history if "mapping" in name} == names
    parts = [term.part.get_weights()[0] for term in mapped.output_terms[:2]]
    assert parts[0] != parts[1]


class Temperatures(keras.callbacks.Callback):
    """The mapping's temperature at each epoch's begin; may be killed at the end of the second."""

    def __init__(self, is_killed):
        super().__init__()
        self.found, self.is_killed = [], is_killed

    def on_epoch_begin(self, epoch, logs=None):
        self.found.append(self.model.output_terms[0].part.temperature)

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1 and self.is_killed:
            raise KeyboardInterrupt


@pytest.mark.alike
def test_a_resumed_training_goes_on_with_the_mapping_it_had(tmp_path):
    def run(is_killed):
        backup = keras.callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)
        seen, trained = Temperatures(is_killed), model()
        fit(trained, MappingMonitor(HELD_OUT, steps=5), backup, seen, epochs=3)
        return seen.found, trained.output_terms[0].part.temperature

    with pytest.raises(KeyboardInterrupt):
        run(is_killed=True)
    begins, ends = run(is_killed=False)
    assert len(begins) == 1
    assert 1.2 < begins[0] < ends - 0.1


@pytest.mark.slow
def test_it_follows_a_teacher_that_moves():
    student = net()
    teacher = MovingAverage(student, momentum=0.5)
    loss = MappedKDLoss(OutputMapping("temperature", 3))
    moving = distiller(student, teacher, kd_loss=loss, compiled={"optimizer": sgd(2.0)})
    history = fit(moving, MappingMonitor(HELD_OUT, steps=20, validation_split=0.0))
    part = moving.output_terms[0].part
    z = np.asarray(ops.convert_to_numpy(part(inferred(teacher.model, HELD_OUT[0]))))
    expected = -log_softmax(z)[np.arange(60), HELD_OUT[1]].mean()
    assert history["mapping_nll"][-1] == pytest.approx(expected, rel=1e-3)


@pytest.mark.alike
def test_what_it_cannot_learn_from_is_told_before_the_first_step():
    plain = distiller(net(), net(8, seed=1))
    x, labels = HELD_OUT
    cases = [
        (plain, HELD_OUT, r"maps no output .*Received: losses \['kd_loss: KDLoss'\]"),
        (model(), (x, labels + 1), r"Labels from 0 to 2 .*Received: labels with \[3\]"),
        (model(), x, "Received: labels=None"),
    ]
    for each, data, message in cases:
        before = each.student.get_weights()
        with pytest.raises(ValueError, match=message):
            fit(each, MappingMonitor(data))
        for one, other in zip(before, each.student.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("learning_rate", 0.0),
        ("validation_split", -0.1),
        ("patience", 0),
        ("min_delta", -1.0),
    ],
)
def test_arguments_out_of_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"Received: {name}="):
        MappingMonitor(HELD_OUT, **{name: value})

"""Which of the teacher's outputs teaches which of the student's, where they are not alike."""

import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import EAGER, cross_entropy, examples, inferred, kd, sgd

from keras_kd import Distiller
from keras_kd.losses import ATLoss, HardLabelLoss, KDLoss

pytestmark = pytest.mark.core

X, Y = examples()


def heads(*names, width=5, seed=0, listed=False):
    """A classifier with an output of that name for each; `hidden` is not a head but a layer."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    hidden = layers.Dense(width, name="hidden")(inputs)
    made = {n: hidden if n == "hidden" else layers.Dense(3, name=n)(hidden) for n in names}
    if not names:
        return keras.Model(inputs, layers.Dense(3, name="logits")(hidden))
    return keras.Model(inputs, list(made.values()) if listed else made)


def fitted(student, teacher, kd_loss, loss, *, x=X, y=Y):
    model = Distiller(student, teacher, temperature=2.0, kd_loss=kd_loss)
    model.compile(sgd(0.0), loss, **EAGER)
    return {n: each[0] for n, each in model.fit(x, y, batch_size=12, verbose=0).history.items()}


@pytest.mark.parametrize("listed", [False, True])
def test_a_plain_student_listens_to_the_output_that_is_named(listed):
    student, teacher = heads(), heads("hidden", "logits", seed=1, listed=listed)
    logs = fitted(student, teacher, KDLoss(teacher_output="logits"), cross_entropy())
    answer = inferred(teacher, X)[1 if listed else "logits"]
    assert logs["kd_loss"] == pytest.approx(kd(answer, inferred(student, X), 2.0).mean(), rel=1e-4)
    by_place = KDLoss(teacher_output=1)
    if listed:
        assert fitted(student, teacher, by_place, cross_entropy()) == pytest.approx(logs, rel=1e-6)


def test_deits_second_head_learns_from_a_teacher_of_one_output():
    # Touvron 2021: `cls` learns from the labels, `dist` from what the teacher decides.
    student, teacher = heads("cls", "dist"), heads(seed=1)
    loss = {"cls": cross_entropy()}
    logs = fitted(student, teacher, {"dist": HardLabelLoss()}, loss)
    ours, theirs = inferred(student, X), inferred(teacher, X)
    decided = cross_entropy()(theirs.argmax(-1), ours["dist"])
    assert logs["kd_loss"] == pytest.approx(float(decided), rel=1e-5)
    labels = cross_entropy()(Y, ours["cls"])
    assert logs["student_loss"] == pytest.approx(float(labels), rel=1e-5)
    carried = {"inputs": X, "teacher_outputs": theirs}
    assert fitted(student, None, {"dist": HardLabelLoss()}, loss, x=carried) == pytest.approx(logs)


def test_two_heads_may_listen_to_two_outputs_of_other_names():
    student, teacher = heads("a", "b"), heads("x", "y", seed=1)
    kd_loss = {"a": KDLoss(teacher_output="y"), "b": KDLoss(teacher_output="x")}
    loss, y = ({name: each for name in "ab"} for each in (cross_entropy(), Y))
    logs = fitted(student, teacher, kd_loss, loss, y=y)
    ours, theirs = inferred(student, X), inferred(teacher, X)
    expected = sum(kd(theirs[t], ours[s], 2.0).mean() for s, t in ("ay", "bx"))
    assert logs["kd_loss"] == pytest.approx(expected, rel=1e-4)
    carried = {"inputs": X, "teacher_outputs": theirs}
    again = fitted(student, None, kd_loss, loss, x=carried, y=y)
    assert again == pytest.approx(logs, rel=1e-6)


@pytest.mark.parametrize(
    ("student", "teacher", "advice"),
    [
        ((), ("hidden", "logits"), r"kd_loss=KDLoss\(teacher_output='hidden'\)"),
        (("cls", "dist"), (), r"kd_loss=\{'cls': KDLoss\(\)\}"),
        (("a", "b"), ("x", "y"), r"kd_loss=\{'a': KDLoss\(teacher_output='x'\)\}"),
    ],
)
def test_the_errors_advice_is_one_that_works(student, teacher, advice):
    models = heads(*student), heads(*teacher, seed=1)
    with pytest.raises(ValueError, match=advice) as raised:
        Distiller(*models)
    text = str(raised.value).split("kd_loss=", 1)[1].split(". Received", 1)[0]
    advised = eval(text.replace("'hidden'", "'logits'"), {"KDLoss": KDLoss})
    Distiller(*models, kd_loss=advised)


def test_wrong_names_are_errors():
    models = heads(), heads("hidden", "logits", seed=1)
    with pytest.raises(ValueError, match=r"no output 'logit'.*'logits'.*Available: .*hidden"):
        Distiller(*models, kd_loss=KDLoss(teacher_output="logit"))
    with pytest.raises(TypeError, match=r"teacher_output=1\.5"):
        KDLoss(teacher_output=1.5)
    with pytest.raises(ValueError, match="`layers` say"):
        ATLoss(layers={"a": "b"}, teacher_output="logits")
    carried = {"inputs": X, "teacher_outputs": {"x": np.zeros((12, 3), "float32")}}
    with pytest.raises(ValueError, match="no part 'y'"):
        fitted(heads(), None, KDLoss(teacher_output="y"), cross_entropy(), x=carried)


def test_a_saved_distiller_listens_to_the_same(tmp_path):
    model = Distiller(heads(), heads("hidden", "logits", seed=1), kd_loss=KDLoss(teacher_output=1))
    model.save(tmp_path / "d.keras")
    found = keras.saving.load_model(tmp_path / "d.keras")
    assert found.output_terms[0].teacher_path == ("logits",)

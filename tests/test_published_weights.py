"""The table of published weights: each row's sum is that of the paper, and so is its step."""

import pathlib
import re

import keras
import numpy as np
import pytest
from keras import ops
from models_for_tests import (
    CLASSES,
    EAGER,
    assert_same_weights,
    cross_entropy,
    examples,
    inferred,
    net,
)

from keras_kd import Distiller, losses

pytestmark = [pytest.mark.core, pytest.mark.alike]

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "guides" / "equation.md"
X, Y = examples()
LAYERS = {"scores": "scores"}


def rows():
    text = PAGE.read_text().split("## Weights as published")[1]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    return [cell for cell in cells if re.fullmatch(r"[12]", cell[-1]) and len(cell) == 4]


ROWS = rows()


def arguments(written):
    """What a cell of code hands to the Distiller; maps are vectors in these nets."""
    written = written.strip("`").replace("layers=...", f"layers={LAYERS}")
    return eval(f"dict({written})", {**vars(losses), "dict": dict})


def published(text, loss_of):
    """The sum that a cell names, of tensors."""
    terms = text.split(", T")[0].split(" + ")
    return sum(float(weight) * loss_of[name] for weight, name in (t.split(" ") for t in terms))


def parts(given, text, student_scores, teacher_scores):
    """The loss of each name in the sum, computed alone."""
    temperature = float(text.split("T ")[1]) if "T " in text else None
    found = {"CE": cross_entropy()(Y, student_scores)}
    kd = losses.KDLoss(temperature) if temperature else None
    for loss in [given.get("kd_loss"), *given.get("feature_losses", [])]:
        if loss is not None:
            name = type(loss).__name__.removesuffix("Loss")
            context = {"labels": Y} if "labels" in loss.asks else {}
            found[name] = loss(teacher_scores, student_scores, **context)
    if kd is not None:
        found.setdefault("KD", kd(teacher_scores, student_scores))
    return found


def _of_maps(row):
    return "ATLoss" in row[2]


OF_VECTORS = [row for row in ROWS if not _of_maps(row)]


@pytest.mark.parametrize("row", OF_VECTORS, ids=[row[0] for row in OF_VECTORS])
def test_the_sum_and_its_step_are_the_published_ones(row):
    _, text, written, factor = row
    given = arguments(written)
    student, teacher = net(seed=0), net(8, seed=1)
    before = [np.asarray(each) for each in student.get_weights()]
    model = Distiller(student, teacher, **given)
    model.compile(keras.optimizers.SGD(0.1), cross_entropy(), **EAGER)
    scores = [ops.convert_to_tensor(inferred(each, X)) for each in (student, teacher)]
    expected = published(text, parts(given, text, *scores))
    # The same step as plain Keras takes with the published sum as its loss.
    plain = net(seed=0)
    plain.compile(
        keras.optimizers.SGD(0.1 / float(factor)),
        lambda y, z: published(text, parts(given, text, z, scores[1])),
        **EAGER,
    )
    ours, _ = (
        each.fit(X, Y, batch_size=12, shuffle=False, verbose=0).history["loss"][0]
        for each in (model, plain)
    )
    assert float(factor) * ours == pytest.approx(float(expected), rel=1e-5)
    moved = max(np.abs(a - b).max() for a, b in zip(before, plain.get_weights(), strict=True))
    assert_same_weights(student, plain, atol=1e-4 * max(1.0, moved))


def spatial(width, seed):
    """A net with a feature map, 2 by 2, and its scores."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    x = keras.layers.Conv2D(width, 1, activation="tanh", name="map")(
        keras.layers.Reshape((2, 2, 1))(inputs)
    )
    scores = keras.layers.Dense(CLASSES, name="scores")(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, scores), keras.Model(inputs, [scores, x])


def test_the_sum_and_step_of_maps_are_the_published_ones():
    _, text, written, factor = next(row for row in ROWS if _of_maps(row))
    assert (text, factor) == ("1 CE + 1000 AT", "1")
    written = written.replace("layers=...", "layers={'map': 'map'}")
    given = arguments(written)
    (student, _), (teacher, hears), (_, plain) = (spatial(5, 0), spatial(8, 1), spatial(5, 0))
    model = Distiller(student, teacher, **given)
    model.compile(keras.optimizers.SGD(0.1), cross_entropy(), **EAGER)
    theirs, (loss,) = ops.convert_to_tensor(inferred(hears, X)[1]), given["feature_losses"]
    plain.compile(
        keras.optimizers.SGD(0.1),
        [lambda y, z: cross_entropy()(Y, z), lambda y, x: 1000.0 * loss(theirs, x)],
        **EAGER,
    )
    whole = {"batch_size": 12, "shuffle": False, "verbose": 0}
    ours = model.fit(X, Y, **whole).history["loss"][0]
    expected = plain.fit(X, [Y, np.zeros((len(X), 2, 2, 5))], **whole).history["loss"][0]
    assert ours == pytest.approx(expected, rel=1e-5)
    assert_same_weights(student, plain, atol=1e-4)


def test_the_table_is_there():
    assert len(ROWS) == 12

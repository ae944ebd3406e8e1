"""Distillers of one teacher, or of teachers with parts in common, in several threads."""

import threading

import pytest
from models_for_tests import distiller, examples, inferred, net

from keras_kd.losses import FitNetLoss
from keras_kd.teachers import Ensemble

pytestmark = pytest.mark.core

X, Y = examples()


def in_threads(work, count):
    """Runs `work(number)` twice in each of as many threads and returns what it raised."""
    errors = []

    def recorded(number):
        try:
            for _ in range(2):
                work(number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=recorded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_they_learn_what_each_learns_alone():
    teacher, found = net(8, seed=1), {}
    students = [net(seed=seed) for seed in range(3)]

    def distil(number):
        feature = FitNetLoss(layers={"hidden": "hidden"}, weight=1.0)
        model = distiller(students[number], teacher, feature_losses=[feature])
        model.fit(X, Y, verbose=0, shuffle=False)
        found[number] = model.evaluate(X, Y, verbose=0)

    assert in_threads(distil, 3) == []
    assert len(found) == 3
    before = inferred(teacher, X)
    assert (before == inferred(net(8, seed=1), X)).all()
    # Only the layer that losses read is still watched.
    assert [layer.name for layer in teacher.layers if "call" in vars(layer)] == ["hidden"]


def test_ensembles_may_share_a_member():
    shared = net(8, seed=1)
    teachers = [Ensemble([shared, net(6, seed=seed)], from_logits=True) for seed in (2, 3, 4)]
    students = [net(seed=seed) for seed in range(3)]

    def distil(number):
        distiller(students[number], teachers[number]).fit(X, Y, verbose=0)

    assert in_threads(distil, 3) == []
    assert (inferred(shared, X) == inferred(net(8, seed=1), X)).all()

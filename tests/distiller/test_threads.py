"""Distillers of one teacher in several threads."""

import threading

import pytest
from models_for_tests import distiller, examples, inferred, net

from keras_kd.losses import FitNetLoss

pytestmark = pytest.mark.core

X, Y = examples()


def test_they_learn_what_each_learns_alone():
    teacher, found, errors = net(8, seed=1), {}, []

    def distil(seed):
        feature = FitNetLoss(layers={"hidden": "hidden"}, weight=1.0)
        model = distiller(students[seed], teacher, feature_losses=[feature])
        model.fit(X, Y, epochs=2, verbose=0, shuffle=False)
        found[seed] = model.evaluate(X, Y, verbose=0)

    def recorded(seed):
        try:
            for _ in range(3):
                distil(seed)
        except Exception as error:
            errors.append(error)

    students = {seed: net(seed=seed) for seed in range(4)}
    threads = [threading.Thread(target=recorded, args=(seed,)) for seed in students]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(found) == 4
    before = inferred(teacher, X)
    assert (before == inferred(net(8, seed=1), X)).all()
    # Only the layer that losses read is still watched.
    assert [layer.name for layer in teacher.layers if "call" in vars(layer)] == ["hidden"]

"""An error in a step costs neither model its weights, on JAX either."""

import keras
import pytest
from models_for_tests import distiller, examples, inferred, net

pytestmark = pytest.mark.core

X, Y = examples()


class Fails(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise RuntimeError("the user's own")


def test_both_models_go_on_after_it():
    model = distiller(net(), net(8, seed=1), alpha=0.5)
    before = [inferred(each, X) for each in (model.student, model.teacher)]
    with pytest.raises(ValueError, match="needs labels"):
        model.fit(X, verbose=0)
    after = [inferred(each, X) for each in (model.student, model.teacher)]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    with pytest.raises(RuntimeError, match="own"):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[Fails()])
    assert (inferred(model.teacher, X) == before[1]).all()
    assert not (inferred(model.student, X) == before[0]).all()
    first = model.fit(X, Y, verbose=0, validation_data=(X, Y)).history["loss"][0]
    assert model.fit(X, Y, epochs=3, verbose=0).history["loss"][-1] < first

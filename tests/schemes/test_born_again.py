"""Born-again networks."""

import keras
import numpy as np
import pytest
from models_for_tests import assert_same_weights, inferred, net, softmax
from sequences import FIT, X, Y, adam, compiled, killed, named

from keras_kd import Distiller
from keras_kd.losses import BinaryKDLoss
from keras_kd.schemes import BornAgainResult, born_again

pytestmark = pytest.mark.core


ONE_NET = [net()]


def maker(dropout=0.0):
    """A function that makes the same model with another seed at each call."""
    seeds = iter(range(1, 9))
    return lambda: named("student", 5, seed=next(seeds), dropout=dropout)


@pytest.mark.alike
def test_each_generation_is_taught_by_the_one_before():
    settings = {"alpha": 0.3, "temperature": 2.0}
    result = born_again(
        maker(), X, Y, generations=2, compile=compiled(), distiller=settings, epochs=2, **FIT
    )
    assert list(result.models) == ["generation_0", "generation_1", "generation_2"]
    make = maker()
    alone = make()
    alone.compile(**compiled())
    losses = alone.fit(X, Y, epochs=2, **FIT).history["loss"]
    np.testing.assert_allclose(result.histories["generation_0"]["loss"], losses, rtol=1e-6)
    assert_same_weights(result.models["generation_0"], alone, atol=1e-7)
    teacher = result.models["generation_0"]
    for name in ("generation_1", "generation_2"):
        student = make()
        model = Distiller(student, teacher, **settings)
        model.compile(**compiled())
        assert result.histories[name] == model.fit(X, Y, epochs=2, **FIT).history
        assert_same_weights(result.models[name], student, atol=0)
        teacher = student
    mean = np.mean([softmax(inferred(model, X)) for model in result.models.values()], axis=0)
    np.testing.assert_allclose(softmax(inferred(result.ensemble, X)), mean, atol=1e-6)


@pytest.mark.alike
def test_a_given_teacher_stands_for_generation_0():
    teacher = named("teacher", 9, seed=8)
    before = teacher.get_weights()
    result = born_again(maker(), X, Y, generations=1, teacher=teacher, compile=compiled, **FIT)
    assert list(result.models) == ["generation_1"]
    assert result.histories["generation_1"]["kd_loss"][0] > 0
    for one, other in zip(teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.alike
def test_generations_that_were_stopped_end_as_those_that_were_not(tmp_path):
    given = {"generations": 1, "compile": adam, "epochs": 2, **FIT}
    whole = born_again(maker(0.5), X, Y, **given)
    given["folder"] = tmp_path
    with pytest.raises(KeyboardInterrupt):
        born_again(maker(0.5), X, Y, callbacks=killed("generation_0", 1), **given)
    result = born_again(maker(0.5), X, Y, **given)
    for name, model in result.models.items():
        assert_same_weights(model, whole.models[name], atol=1e-6)
    again = born_again(maker(0.5), X, Y, callbacks=killed("generation_0", 0), **given)
    assert again.epochs == result.epochs
    with pytest.raises(ValueError, match="model='3 layers, 4 weights, 43 parameters'"):
        born_again(maker(), X, Y, **given)


@pytest.mark.alike
def test_an_ensemble_of_multi_label_models_averages_sigmoids():
    labels = keras.utils.to_categorical(Y, 3)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    result = born_again(
        maker(),
        X,
        labels,
        generations=1,
        compile=lambda: {**compiled(), "loss": loss},
        distiller={"kd_loss": BinaryKDLoss()},
        **FIT,
    )
    said = [1 / (1 + np.exp(-inferred(model, X))) for model in result.models.values()]
    mean = 1 / (1 + np.exp(-inferred(result.ensemble, X)))
    np.testing.assert_allclose(mean, np.mean(said, axis=0), atol=1e-6)


@pytest.mark.alike
@pytest.mark.parametrize(
    "make, given, told",
    [
        (maker(), {"generations": 0}, "generations=0"),
        (net(), {}, "make_student=<Functional"),
        (lambda width: width, {}, "without arguments"),
        (lambda: "net", {}, "student='net'"),
        (lambda: keras.Sequential([keras.layers.Dense(3)]), {}, "not built"),
        (lambda: ONE_NET[0], {}, "a new model"),
        (maker(), {"teacher": named("wide", classes=4)}, "outputs of one shape"),
        (maker(), {"epochs": 0}, "epochs=0"),
    ],
)
def test_what_is_wrong_is_told_before_the_first_step(make, given, told):
    with pytest.raises((TypeError, ValueError), match=told):
        born_again(make, X, Y, **{"compile": compiled, **FIT, **given})


@pytest.mark.alike
def test_a_result_makes_its_ensemble_of_its_models():
    models = {"generation_0": net(), "generation_1": net(seed=1)}
    result = BornAgainResult(models, {})
    assert result.ensemble.models == list(models.values())
    assert result.ensemble is result.ensemble  # which may be compiled, and then evaluated

import keras
import numpy as np
import pytest
from every_loss import RESPONSE, draw, run

from keras_kd.losses import KDLoss
from keras_kd.losses.temperature_loss import TemperatureLoss

pytestmark = pytest.mark.core

CLASSES = [cls for cls in RESPONSE if issubclass(cls, TemperatureLoss)]
every_temperature_loss = pytest.mark.parametrize("cls", CLASSES)


@pytest.mark.alike
@every_temperature_loss
def test_none_is_the_temperature_that_comes_with_the_call(cls):
    teacher, student = draw((3, 5))
    expected = run(cls(temperature=2.5), teacher, student)
    for given in (2.5, np.float32(2.5), keras.Variable(2.5, trainable=False)):
        assert run(cls(temperature=None), teacher, student, temperature=given) == pytest.approx(
            expected, rel=1e-6
        )


@every_temperature_loss
def test_none_is_4_when_no_temperature_comes_with_the_call(cls):
    teacher, student = draw((3, 5))
    expected = run(cls(temperature=4.0), teacher, student)
    assert run(cls(temperature=None), teacher, student) == expected


@pytest.mark.alike
@every_temperature_loss
def test_a_number_is_the_losss_own_and_stays(cls):
    teacher, student = draw((3, 5))
    expected = run(cls(temperature=2.0), teacher, student)
    assert run(cls(temperature=2.0), teacher, student, temperature=9.0) == expected
    assert run(cls(2.0), teacher, student) == expected


@every_temperature_loss
@pytest.mark.parametrize("given", [2, np.float32(2.0), np.int64(2), np.array(2.0)])
def test_any_real_number_is_a_temperature(cls, given):
    assert cls(temperature=given).temperature == 2.0


@pytest.mark.alike
@every_temperature_loss
@pytest.mark.parametrize("wrong", [0, -1.0, np.nan, np.inf])
def test_a_temperature_of_0_or_less_or_not_finite_is_refused(cls, wrong):
    with pytest.raises(ValueError, match=r"`temperature` must be .* Received: temperature="):
        cls(temperature=wrong)
    with pytest.raises(ValueError, match=r"`temperature` must be .* Received: temperature="):
        cls(temperature=None)(*draw((2, 3)), temperature=wrong)


@pytest.mark.alike
@every_temperature_loss
@pytest.mark.parametrize("wrong", [True, "4"])
def test_a_temperature_that_is_no_number_is_refused(cls, wrong):
    with pytest.raises(TypeError, match=r"`temperature` must be .* Received: temperature="):
        cls(temperature=wrong)
    with pytest.raises(TypeError, match=r"`temperature` must be .* Received: temperature="):
        cls(temperature=None)(*draw((2, 3)), temperature=wrong)


def test_a_users_temperature_loss_works_with_one_formula():
    class Softened(TemperatureLoss):
        def call(self, teacher_value, student_value, temperature=None):
            t = self.own_temperature(temperature)
            return ((teacher_value - student_value) / t)[..., 0]

    assert run(Softened(), np.full((1, 2), 8.0), np.zeros((1, 2))) == 2.0
    assert run(Softened(), np.full((1, 2), 8.0), np.zeros((1, 2)), temperature=2.0) == 4.0
    assert run(KDLoss(), np.zeros((1, 2)), np.zeros((1, 2))) == 0.0

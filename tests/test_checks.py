import fractions
import pathlib

import keras
import numpy as np
import pytest
from keras import KerasTensor

from keras_kd.checks import (
    check_fraction,
    check_number,
    check_same_shape,
    check_temperature,
    check_whole_number,
    local_path,
)
from keras_kd.evaluation import compare
from keras_kd.evaluation.run_report import write_report
from keras_kd.export import export_student

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    "given",
    [4, 4.0, np.float32(4.0), np.float64(4.0), np.int64(4), np.array(4.0), fractions.Fraction(4)],
    ids=lambda given: type(given).__name__,
)
def test_any_real_number_becomes_a_python_float(given):
    checked = check_temperature(given)
    assert checked == 4.0
    assert type(checked) is float


@pytest.mark.parametrize("wrong", [True, np.True_, "4", None, 4j, [4.0], np.ones(1), np.ones(2)])
def test_what_is_no_number_is_a_type_error(wrong):
    with pytest.raises(TypeError, match=r"`temperature` must be .* above 0\. Received: temp"):
        check_temperature(wrong)


@pytest.mark.parametrize("wrong", [0, 0.0, -1.0, np.nan, np.inf, -np.inf, np.float32(-2.0)])
def test_a_temperature_of_0_or_less_or_not_finite_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`temperature` must be .* above 0\. Received: temp"):
        check_temperature(wrong)


@pytest.mark.parametrize("edge", [0, 1, 0.5])
def test_a_fraction_includes_both_ends(edge):
    assert check_fraction(edge) == edge


@pytest.mark.parametrize("wrong", [-1e-9, 1.0 + 1e-9, np.nan, np.inf])
def test_a_fraction_outside_0_to_1_is_refused(wrong):
    message = r"`alpha` must be a finite number at least 0 and at most 1\. Received: alpha="
    with pytest.raises(ValueError, match=message):
        check_fraction(wrong)


def test_a_number_without_bounds_is_only_asked_to_be_finite():
    assert check_number("x", -3.0) == -3.0
    with pytest.raises(ValueError, match=r"`x` must be a finite number\. Received: x=inf"):
        check_number("x", np.inf)


def test_an_axis_that_is_not_known_yet_fits_any():
    check_same_shape("loss", KerasTensor((None, 3)), KerasTensor((8, 3)))


@pytest.mark.parametrize("student", [(2, 4), (2, 3, 1), (2,), (3, 3)])
def test_shapes_that_differ_are_named_with_the_loss(student):
    message = r"my_loss: .* Received: teacher=\(2, 3\), student="
    with pytest.raises(ValueError, match=message):
        check_same_shape("my_loss", KerasTensor((2, 3)), KerasTensor(student))


def test_a_whole_number_is_a_python_int_in_range():
    assert [check_whole_number("dim", given, least=1) for given in (1, np.int32(7))] == [1, 7]
    assert type(check_whole_number("dim", np.int32(7), least=1)) is int
    with pytest.raises(ValueError, match=r"`dim` must be a whole number of at least 1\. .*dim=0"):
        check_whole_number("dim", 0, least=1)
    for wrong in (True, 2.0, "2", None):
        with pytest.raises(TypeError, match=r"`dim` must be a whole number.* Received: dim="):
            check_whole_number("dim", wrong, least=1)


@pytest.mark.alike
@pytest.mark.parametrize("path", ["gs://bucket/s.tflite", "s3://b", pathlib.Path("gs://bucket/s")])
def test_addresses_are_no_paths_wherever_one_is_taken(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    comparison = compare({"net": net}, (np.eye(2), np.arange(2)))
    doors = [
        lambda: local_path("path", path),
        lambda: export_student(net, path, format="keras"),
        lambda: comparison.to_html(path),
        lambda: comparison.plot(path),
        lambda: write_report(path, "title", []),
    ]
    for door in doors:
        with pytest.raises(ValueError, match="must be a path of a mounted file system"):
            door()
    assert list(tmp_path.iterdir()) == []


def test_paths_of_this_machine_are_taken_as_they_are():
    assert local_path("path", "C:/models") == pathlib.Path("C:/models")
    assert local_path("path", "a:b/c") == pathlib.Path("a:b/c")
    with pytest.raises(TypeError, match=r"`out` must be a path\. Received: out=3"):
        local_path("out", 3)

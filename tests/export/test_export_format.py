import pytest

from keras_kd.export.formats import KerasFormat

pytestmark = pytest.mark.core


class Missing(KerasFormat):
    name = "missing"
    packages = ("a_package_nobody_has.part",)


class Elsewhere(KerasFormat):
    name = "elsewhere"
    backends = ("another",)


def test_a_missing_package_names_the_extra():
    with pytest.raises(ImportError, match=r"'a_package_nobody_has'.*keras_kd\[export\]"):
        Missing().check_available()


def test_another_backend_says_how_to_go_on():
    with pytest.raises(ValueError, match=r"Save the student as `\.keras`.*Received: backend="):
        Elsewhere().check_available()

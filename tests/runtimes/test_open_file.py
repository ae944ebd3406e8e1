import pytest

from keras_kd.runtimes import open_file

pytestmark = [pytest.mark.core, pytest.mark.alike]


def test_a_keras_file_has_no_runtime_of_its_own(tmp_path):
    (tmp_path / "m.keras").touch()
    with pytest.raises(ValueError, match=r"runtime of its own.*path='.*m.keras'"):
        open_file(tmp_path / "m.keras")


def test_what_is_no_path_is_refused():
    with pytest.raises(TypeError, match="Received: path=3"):
        open_file(3)

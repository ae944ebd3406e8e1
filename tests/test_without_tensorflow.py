"""JAX or PyTorch alone are enough; what needs TensorFlow says so when it is called."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import keras
import numpy as np
import pytest
from models_for_tests import examples, net

from keras_kd import TeacherCache

BACKEND = keras.backend.backend()
ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "tests" / "without_tensorflow.py"

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif(BACKEND == "tensorflow", reason="of backends that are not TensorFlow"),
]


@pytest.fixture
def folder(tmp_path):
    """A folder with answers that were labelled where TensorFlow is."""
    x, _ = examples()
    np.save(tmp_path / "x.npy", x)
    TeacherCache(tmp_path / "cache", net(8), dtype="float32", layers=["hidden"]).label(x)
    return tmp_path


def run(python, *arguments, **environment):
    done = subprocess.run(
        [python, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": BACKEND, **environment},
    )
    assert done.stdout.endswith("all of it works\n"), done.stderr[-3000:]


def test_everything_but_tf_data_and_some_exports_works_without_tensorflow(folder):
    run(sys.executable, folder, "--refuse")


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "jax", reason="one environment is enough")
def test_it_works_in_an_environment_with_jax_alone(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("alone")
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q"]
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", "keras", "numpy", "jax"], check=True)
    subprocess.run([*pip, "--no-deps", ROOT], check=True)
    run(python, folder, PYTHONPATH="")

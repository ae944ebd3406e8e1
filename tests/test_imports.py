"""`import keras_kd` stays light."""

import subprocess
import sys

import pytest


@pytest.mark.alike
@pytest.mark.core
def test_importing_the_library_imports_no_optional_package():
    heavy = [
        "tensorflow_datasets",
        "matplotlib",
        "sklearn",
        "tqdm",
        "onnx",
        "onnxruntime",
        "tf2onnx",
        "ai_edge_litert",
        "optuna",
        "apache_beam",
        "ray",
    ]
    code = (  # Keras itself imports what it finds of scikit-learn and matplotlib
        "import sys, keras; before = set(sys.modules); import keras_kd;"
        f"print([m for m in {heavy} if m in sys.modules and m not in before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

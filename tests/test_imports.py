"""`import keras_kd` stays light."""

import subprocess
import sys

import pytest


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
    ]
    code = f"import sys, keras_kd; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

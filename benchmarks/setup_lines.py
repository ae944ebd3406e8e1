"""Says on what the figures of a page were made."""

import os
import platform
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf


def setup_lines(script: str) -> list[str]:
    """Returns machine, versions and command as lines of Markdown."""
    return [
        f"- machine: {cpu_model()}, {os.cpu_count()} cores",
        f"- versions: Python {platform.python_version()}, Keras {keras.__version__}, TensorFlow "
        f"{tf.__version__}, NumPy {np.__version__}, keras_kd on the {keras.backend.backend()} "
        "backend",
        f"- command: `python {script}{' --small' * ('--small' in sys.argv)}`",
    ]


def cpu_model() -> str:
    """Returns the processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

"""Says on what the figures of a page were made."""

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf


def setup_lines(script: str) -> list[str]:
    """Returns machine, versions and command as lines of Markdown."""
    backend = keras.backend.backend()
    versions = {"Python": platform.python_version(), "Keras": keras.__version__}
    versions |= {"TensorFlow": tf.__version__, "NumPy": np.__version__}
    if backend != "tensorflow":
        versions[backend] = importlib.metadata.version(backend)
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    setting = f"KERAS_BACKEND={backend} " * (backend != "tensorflow")
    return [
        f"- machine: {cpu_model()}, {os.cpu_count()} cores",
        f"- versions: {listed}, keras_kd on the {backend} backend",
        f"- command: `{setting}python {script}{' --small' * ('--small' in sys.argv)}`",
    ]


def cpu_model() -> str:
    """Returns the processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

"""What `import keras_kd` costs after `import keras`."""

import os
import statistics
import subprocess
import sys

_TIMED = (
    "import time, keras; start = time.perf_counter(); import keras_kd; "
    "print(time.perf_counter() - start)"
)


def import_lines(repeats):
    """Returns lines of a page: the seconds of the import in new processes, by backend."""
    lines = [
        "",
        "## The import",
        "",
        "Seconds that `import keras_kd` takes after `import keras`:",
        "",
    ]
    for backend in ("tensorflow", "jax"):
        seconds = sorted(_seconds(backend) for _ in range(repeats))
        lines.append(
            f"- on {backend}: {statistics.median(seconds):.3f}, median of {repeats} "
            f"({seconds[0]:.3f} to {seconds[-1]:.3f})"
        )
    return lines


def _seconds(backend):
    done = subprocess.run(
        [sys.executable, "-c", _TIMED],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)

"""Students that two processes of JAX train together are those of one process."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytestmark = [
    pytest.mark.core,
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="keras.distribution is JAX' alone"),
]

SCRIPT = Path(__file__).parent / "train_in_jax_processes.py"
SECONDS = 600


def free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each of the two processes found, which end with the test whatever happens."""
    folder, port = tmp_path_factory.mktemp("shared"), free_port()
    runs = [
        subprocess.Popen(
            [sys.executable, SCRIPT, str(port), str(process), folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in (0, 1)
    ]
    found = []
    try:
        for run in runs:
            out, err = run.communicate(timeout=SECONDS)
            assert run.returncode == 0, err[-3000:]
            found.append(json.loads(out.splitlines()[-1]))
    finally:
        for run in runs:
            run.kill()
            run.communicate()
    return found


def test_there_are_two_processes_of_one_device(told):
    for each in told:
        assert (each["devices"], each["local_devices"]) == (2, 1)


def test_losses_see_the_batches_of_both_processes(told):
    assert max(each["trained"] for each in told) < 1e-5


def test_a_training_goes_on_from_a_file(told):
    assert max(each["resumed"] for each in told) < 1e-5


def test_each_process_reads_its_own_share_of_a_cache_that_both_labelled(told):
    assert max(each["cached"] for each in told) < 1e-5

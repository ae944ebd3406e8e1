"""Students on several devices of one process, by `keras.distribution`, are those of one device."""

import functools
import json
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

SCRIPT = Path(__file__).parent / "train_on_devices.py"


@functools.cache  # Devices are made before JAX starts: one process of its own shows all
def told():
    done = subprocess.run(
        [sys.executable, SCRIPT], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_training_moves_the_student():
    assert told()["moved"] > 0.1


@pytest.mark.parametrize("devices", [2, 4])
def test_losses_see_the_whole_batch_whichever_device_has_which_samples(devices):
    # Projectors, relations between samples, CRD's memory, schedules and validation among them.
    assert told()[f"trained_{devices}"] < 1e-5


def test_a_training_goes_on_from_a_file():
    assert told()["resumed_2"] < 1e-5


def test_answers_of_a_cache_are_spread_with_the_examples():
    assert told()["cached_4"] < 1e-5


def test_a_teacher_in_parts_teaches_a_student_that_is_whole_on_each_device():
    facts = told()["in_parts"]
    print(facts)
    assert told()["in_parts_2"] < 1e-5
    assert facts["spread"] == ["teacher_1/kernel", "teacher_2/kernel"]
    assert facts["student_is_whole"]
    assert max(facts["bytes_a_device"]) < 0.55 * facts["teacher_bytes"]

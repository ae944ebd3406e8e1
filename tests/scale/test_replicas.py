"""Losses that compare samples, on two replicas of a `MirroredStrategy`."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's"
    ),
]

SCRIPT = Path(__file__).parent / "train_on_replicas.py"


@pytest.fixture(scope="module")
def told():
    done = subprocess.run(
        [sys.executable, SCRIPT], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_gathered_samples_train_the_student_of_one_device(told):
    weights, history = told["gathered"]
    assert weights < 1e-5
    assert history < 1e-4


def test_without_gathering_it_is_another_training(told):
    assert told["apart"][0] > 0.1


def test_who_has_not_chosen_is_warned(told):
    names = ["cc", "crd", "dist", "pkt", "rkd", "sp"]
    assert told["warned"] == [f"{name}_loss" for name in names]


def test_what_crd_remembers_is_the_same_on_each_replica(told):
    assert told["copies"] == [2, 2]
    assert told["between_copies"] == 0.0

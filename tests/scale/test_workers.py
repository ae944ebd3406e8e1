"""Two processes of a `MultiWorkerMirroredStrategy` train the student of one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's"
    ),
]

SCRIPT = Path(__file__).parent / "train_in_workers.py"
SECONDS = 600
WAYS = ["trained", "resumed", "backed_up", "cached", "own_share"]


def free_addresses(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What one process alone (-1) and the two of a strategy found; all end with the test."""
    folder, cluster = tmp_path_factory.mktemp("shared"), {"worker": free_addresses(2)}
    started = []
    for process in (-1, 0, 1):
        task = {"cluster": cluster, "task": {"type": "worker", "index": process}}
        more = {"TF_CONFIG": json.dumps(task)} if process >= 0 else {}
        command = [sys.executable, SCRIPT, folder, str(process)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, env={**os.environ, **more}, **pipes))
    try:
        for run in started:
            told = run.communicate(timeout=SECONDS)[0]
            assert run.returncode == 0, told[-3000:]
    finally:
        for run in started:
            run.kill()
            run.communicate()
    return {
        process: (json.loads((folder / f"{process}.json").read_text()), weights_in(folder, process))
        for process in (-1, 0, 1)
    }


def weights_in(folder, process):
    with np.load(folder / f"{process}.npz") as found:
        return dict(found)


@pytest.mark.parametrize("process", [0, 1])
@pytest.mark.parametrize("way", WAYS)
def test_each_process_has_the_student_of_one_process(runs, way, process):
    (alone, weights), (told, found) = runs[-1], runs[process]
    names = [name for name in weights if name.startswith(f"{way}/")]
    assert names
    for name in names:
        np.testing.assert_allclose(found[name], weights[name], rtol=0, atol=1e-6, err_msg=name)
    assert told[way].keys() == alone[way].keys()
    for name, values in alone[way].items():
        np.testing.assert_allclose(told[way][name], values, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("process", [0, 1])
def test_evaluate_and_predict_are_those_of_all_examples(runs, process):
    alone, told = runs[-1][0], runs[process][0]
    for name in ("evaluated", "eagerly", "predicted"):
        np.testing.assert_allclose(told[name], alone[name], rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("case", "words"),
    {
        "arrays": "ValueError: Over several processes `fit` takes a batched tf.data.Dataset",
        "remainder": "ValueError: Over several processes all batches have one size",
        "odd": "Received: 2 replicas, batches of shapes [(5,), (5, 4), (5,)]",
        "unlike": "must go through as many batches. Received: 2 batches, steps=1, 2 batches",
        "weights": "`evaluate` takes a batched tf.data.Dataset",
        "held_out": "TypeError: Over several processes data come from a tf.data.Dataset",
        "one": "use `fit`. Received: a call of `train_on_batch`",
        "none": "The data yield no batch",
    }.items(),
)
def test_what_the_processes_cannot_share_is_refused_in_both(runs, case, words):
    for process in (0, 1):
        assert words in runs[process][0]["refused"][case]


def test_no_cache_is_filled_in_the_scope_where_all_would_wait_for_the_one_with_the_lock(runs):
    for process in (0, 1):
        assert "load the teacher outside of the strategy's scope" in runs[process][0]["in_scope"]

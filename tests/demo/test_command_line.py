"""The demo, as a user runs it."""

import argparse
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_kd.data import digits
from keras_kd.demo import command_line
from keras_kd.demo.command_line import main
from keras_kd.demo.report import write_demo_report
from keras_kd.demo.run import Run

QUICK = ["--epochs", "1", "--seeds", "1"]
DATA_DIR = os.environ.get("KERAS_KD_DATA_DIR")


def test_the_demo_leaves_models_exports_and_a_report(tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*QUICK, "--out", str(out)]) == 0
    models = {path.name for path in (out / "models").iterdir()}
    assert {
        "teacher.keras",
        "student_alone_seed_0.keras",
        "student_distilled_seed_0.keras",
        "student_all_labels_seed_0.keras",
        "student_saved_model",
        "student_float32.tflite",
        "student_float16.tflite",
        "student_int8.tflite",
    } <= models
    page = (out / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "http" not in page.replace("http-equiv", "")  # self-contained
    for heading in ("Learning curves", "Where distilled student and student alone disagree"):
        assert f"<h2>{heading}</h2>" in page
    assert "true: " in page and "teacher: " in page
    table = (out / "report.md").read_text()
    printed = capsys.readouterr().out
    few = "student, 100 labels"
    for row in (
        "teacher",
        few,
        f"{few} + teacher",
        "student, all labels",
        "student as TFLite int8",
    ):
        assert f"| {row} " in table
        assert f"| {row} " in printed
    assert "Command: python -m keras_kd --epochs 1 --seeds 1 --out " in table
    student = keras.saving.load_model(out / "models" / "student_distilled_seed_0.keras")
    assert student.count_params() < 5000


def test_an_existing_folder_is_never_written_into(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("kept")
    assert main([*QUICK, "--out", str(tmp_path)]) == 2
    assert "Received: --out" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_wrong_name_lists_what_exists(tmp_path, capsys):
    assert main(["--dataset", "digit", "--data-dir", str(tmp_path / "tfds")]) == 2
    said = capsys.readouterr().err
    assert "Received: name='digit'" in said
    assert "mnist" in said
    assert said.strip().endswith("digits")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--temperature", "0"],
        ["--alpha", "1.5"],
        ["--epochs", "0"],
        ["--seeds", "x"],
        ["--labels", "0"],
        ["--student-width", "wide"],
        ["--nope"],
    ],
)
def test_bad_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "error:" in capsys.readouterr().err


def test_help_explains(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "--temperature" in capsys.readouterr().out


@pytest.fixture
def run(tmp_path):
    options = argparse.Namespace(
        arguments=[], epochs=1, labels=23, student_width=4, alpha=0.1, temperature=2.0, seeds=2
    )
    return Run(digits(), tmp_path, options)


def test_some_images_of_every_class_are_labelled_and_the_same_for_all_kinds(run):
    x, y = run.data.arrays("train")
    told = tf.data.Dataset.from_tensor_slices(({"inputs": x, "teacher_outputs": x[:, 0, :, 0]}, y))
    few = run.training_data("alone", 7).unbatch().take(23)
    labels = [int(label) for _, label in few.as_numpy_iterator()]
    counts = np.bincount(labels, minlength=10)
    assert sorted(counts) == [2] * 7 + [3] * 3
    all_told = run.training_data("distilled", 7, told).unbatch().take(len(x))
    shown = [(e["inputs"], int(label)) for e, label in all_told.as_numpy_iterator()]
    kept = {image.tobytes(): label for image, label in shown if label >= 0}
    assert kept == {image.tobytes(): int(y) for image, y in few.as_numpy_iterator()}
    assert len({image.tobytes() for image, _ in shown}) == len({each.tobytes() for each in x})
    others = run.training_data("alone", 8).unbatch().take(23)
    assert {image.tobytes() for image, _ in others.as_numpy_iterator()} != set(kept)


def test_a_report_of_two_seeds_says_which_is_better(run, capsys):
    run.students = {kind: [run.nets.student(), run.nets.student()] for kind in run.kinds}
    assert run.students["alone"][0].get_layer("hidden1").units == 4
    run.teacher = run.nets.student()
    write_demo_report(run)
    printed = capsys.readouterr().out
    assert "student, 23 labels + teacher against student, 23 labels: " in printed
    assert "TOLD APART" in printed and "2 paired models" in (run.folder / "report.md").read_text()


@pytest.mark.slow
def test_an_interrupted_run_leaves_what_is_finished(tmp_path, monkeypatch, capsys):
    import keras_kd

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(keras_kd, "export_student", interrupted)
    out = tmp_path / "run"
    assert main([*QUICK, "--labels", "all", "--out", str(out)]) == 130
    assert "| student distilled " in (out / "report.md").read_text()
    assert "was interrupted" in (out / "report.md").read_text()
    assert (out / "models" / "teacher.keras").exists()


@pytest.mark.slow
@pytest.mark.skipif(not DATA_DIR, reason="KERAS_KD_DATA_DIR names no folder of TFDS data")
@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_the_demo_runs_on_tfds_sets(tmp_path, dataset):
    command = [
        sys.executable,
        "-m",
        "keras_kd",
        "--dataset",
        dataset,
        "--data-dir",
        DATA_DIR,
        *QUICK,
        "--out",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "student as TFLite int8" in (tmp_path / "run" / "report.md").read_text()


def test_ctrl_c_in_the_report_leaves_a_report(tmp_path, capsys, monkeypatch):
    def interrupted(run, interrupted):
        os.kill(os.getpid(), signal.SIGINT)
        written.append(interrupted)

    written = []
    monkeypatch.setattr(command_line, "write_demo_report", interrupted)
    monkeypatch.setattr(command_line.Run, "train", lambda self: None)
    monkeypatch.setattr(command_line.Run, "export", lambda self: None)
    before = signal.getsignal(signal.SIGINT)
    assert main(["--out", str(tmp_path / "run")]) == 130
    assert written == [False] and signal.getsignal(signal.SIGINT) is before
    assert "The report is finished first" in capsys.readouterr().err


def test_an_out_below_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main([*QUICK, "--out", str(tmp_path / "file" / "run")]) == 2
    assert "must lie in a folder" in capsys.readouterr().err

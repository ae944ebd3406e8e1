"""Each task's script on its small setting: all rows, figures that can be, and nothing twice."""

import os
import re

import pytest

WORDS = ("text CNN", "BiLSTM")

pytestmark = pytest.mark.slow
needs_data = pytest.mark.skipif(
    not os.environ.get("KERAS_KD_DATA_DIR"),
    reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are",
)


def percents(table):
    """Returns the table's numbers, which are shares in %."""
    numbers = {name: [float(cell) for cell in cells] for name, cells in table.items()}
    assert all(0.0 <= number <= 100.0 for row in numbers.values() for number in row)
    return numbers


def test_imbalance(small_task):
    run = small_task("task_imbalance.py")
    (table,) = run.tables
    assert list(percents(table)) == [
        "teacher",
        "teacher, balanced sampling",
        "student alone",
        "student, class weights",
        "student, balanced sampling",
        "KD",
        "KD from the balanced teacher",
        "KD from the balanced teacher, class weights",
        "KD from the balanced teacher, balanced sampling",
    ]
    assert "50, 35, 24, 17, 12, 8, 6, 4, 3, 2 (161 in all)" in run.page
    assert run.trained == 7


def test_ensembles_of_the_imbalanced(small_task):
    run = small_task("task_ensemble.py")
    (table,) = run.tables
    rows = [
        "mean of 2 nets trained alone",
        "JointEnsemble of 2",
        "Stacked, 2 nets and a logistic regression",
    ]
    assert list(percents(table)) == [name for row in rows for name in (row, f"student of: {row}")]
    assert run.trained == 4 + 2


def test_calibration(small_task):
    run = small_task("task_calibration.py")
    teachers, students = run.tables
    rows = [
        "as they are",
        *(f"mapped, {kind}" for kind in ("temperature", "vector", "matrix", "net")),
    ]
    assert list(teachers) == list(students) == rows
    assert run.trained == len(rows)


def test_two_teachers(small_task):
    run = small_task("task_two_teachers.py")
    table, tried = run.tables
    assert [re.sub(r", rate.*", "", name) for name in table] == [
        "the two teachers, of all labels",
        "one student, labels",
        "two students, labels",
        "one student, PerOutput",
        "two students, KD each",
    ]
    assert run.trained == len(tried) == 4


def test_two_digits(small_task):
    run = small_task("task_multilabel.py")
    (table,) = run.tables
    assert list(percents(table)) == [
        "teacher",
        "student alone",
        "KD, T 1",
        "KD, T 4",
        "KD, no labels",
        "student alone, 64 pictures",
        "KD, 64 pictures",
    ]
    assert run.trained == 6


def test_regression(small_task):
    run = small_task("task_regression.py")
    (table,) = run.tables
    assert list(table) == [
        "teacher (random forest)",
        "ridge regression",
        "student alone",
        "student alone, noise",
        "RegressionLoss",
        "RegressionLoss, out of bag",
        "RegressionLoss, noise",
        "BoundedRegressionLoss",
    ]
    for cells in table.values():
        r2, absolute, root_mean_square = map(float, cells)
        assert r2 < 1.0 and 0.0 < absolute < root_mean_square
    assert run.trained == len(table)


@needs_data
def test_entities(small_task):
    pytest.importorskip("keras_hub")
    pytest.importorskip("seqeval")
    run = small_task("task_entities.py")
    (table,) = run.tables
    ways = [f"{name}, {how}" for name in ("CNN", "BiLSTM") for how in ("alone", "KD", "logits MSE")]
    assert list(percents(table)) == ["teacher", *ways]
    assert run.trained == 2 + 1 + len(ways)  # to choose, the teacher's, the table's


@needs_data
def test_segmentation(small_task):
    run = small_task("task_segmentation.py")
    (table,) = run.tables
    distilled = ["KD", "KD, of the ignored pixels too", "CWD on logits"]
    assert list(percents(table)) == ["teacher", "student alone", *distilled]
    assert run.trained == 1 + len(distilled)


@needs_data
def test_detection(small_task):
    run = small_task("task_detection.py")
    table, choice = run.tables
    percents(table)
    assert list(table)[:2] == ["teacher", "student alone"]
    assert len(table) == 2 + 4
    assert any("CWD on the pyramid" in name for name in table)
    assert any(re.fullmatch(r"classes by focal KD, weight \d+", name) for name in table)
    assert set(choice) == set(list(table)[2:])  # one candidate a row, in the small setting
    assert run.trained == 1 + 4


@needs_data
def test_speech(small_task):
    run = small_task("task_speech.py", timed_from="What one KD student leaves in")
    table, files = run.tables
    assert list(percents(table)) == ["teacher", "student alone", "KD", "KD and FitNet"]
    assert list(files) == [f".tflite, {kind}" for kind in ("float32", "float16", "int8")]
    assert float(files[".tflite, int8"][0]) < 0.5 * float(files[".tflite, float32"][0])
    assert run.trained == 3


@needs_data
def test_sentences(small_task):
    pytest.importorskip("keras_hub")
    run = small_task("task_text.py", timed_from="Exports")
    everything, few, _ = run.tables
    ways = [f"{name}, {how}" for name in WORDS for how in ("alone", "KD", "logits MSE")]
    of_transformer = ["alone", "KD", "KD and hidden states", "KD and attention"]
    assert list(percents(everything)) == [
        "teacher",
        *ways,
        *(f"transformer, {how}" for how in of_transformer),
    ]
    ways = [
        f"{name}, {how}"
        for name in WORDS
        for how in ("alone, few labels", "KD, labelled sentences", "KD, all sentences")
    ]
    assert list(percents(few)) == ["teacher, few labels", *ways]
    exported = re.findall(
        r"^\| (text CNN|BiLSTM) +\| +(\w+).*\| +(strings|ids) ", run.page, re.MULTILINE
    )
    for name in WORDS:
        assert {(name, "saved_model", "strings"), (name, "tflite", "ids")} <= set(exported)
    assert run.trained == len(everything) + len(few)


def test_mean_teacher(small_task):
    run = small_task("scheme_mean_teacher.py")
    table, tried = run.tables
    assert [name.split(",")[0] for name in percents(table)] == [
        "the teacher of all labels",
        "20 labels alone",
        "mean teacher",
        "KD from a teacher of all labels",
        "all labels",
    ]
    assert [cells[-1] for cells in tried.values()].count("yes") == 4
    assert run.trained == len(tried) == 8


def test_search(small_task):
    run = small_task("search.py", timed_from="On test data")
    chosen, tested = run.tables
    assert list(chosen) == ["distilled", "alone"]
    sides = ("alone, untuned", "distilled, untuned", "alone, searched", "distilled, searched")
    assert list(tested) == ["teacher", *sides]
    assert run.page.count("NOT TOLD APART") + run.page.count("BETTER") == 6
    assert run.trained == 1


def test_born_again(small_task):
    run = small_task("scheme_born_again.py")
    table, *tried = run.tables
    assert [re.sub(r", .*", "", name) for name in percents(table)] == [
        "one training",
        "4 times as long",
        "generation 1",
        "generation 2",
        "generation 3",
        "mean of the 4 generations",
        "mean of 4 models trained alone",
    ]
    assert [[cells[-1] for cells in each.values()].count("yes") for each in tried] == [1, 1, 1]
    assert run.trained == sum(map(len, tried)) + 1


@needs_data
def test_stages(small_task):
    pytest.importorskip("keras_hub")
    run = small_task("scheme_stages.py")
    table, tried, until, harder = run.tables
    assert [name.split(", rate")[0] for name in percents(table)] == [
        "the teacher",
        "labels",
        "labels, classifier first",
        "KD",
        "KD with the body frozen, then labels",
        "KD with the body frozen, then KD",
        "teacher alone, then labels",
    ]
    assert len(tried) == 6 and len(until) == len(harder) == 4
    assert run.trained == len(table) + len(until) + len(harder)


def test_assistants(small_task):
    run = small_task("scheme_assistants.py")
    table, tried = run.tables
    assert [name.split(",")[0] for name in percents(table)] == [
        "net 10",
        "net 4 alone",
        "net 2 alone",
        "KD from net 10",
        "TAKD over net 4",
        "DGKD over net 4",
    ]
    assert run.trained == len(table)
    assert len(tried) == 1


def test_together(small_task):
    run = small_task("scheme_together.py")
    table, tried = run.tables
    assert [name.split(",")[0] for name in percents(table)] == [
        "the teacher",
        "alone",
        "two from each other",
        "two from their mean",
        "its own teacher",
        "its exit at stage1",
        "its exit at stage2",
        "KD",
        "mean of two alone",
        "mean of the two from each other",
    ]
    assert run.trained == 1 + len(tried) + 2

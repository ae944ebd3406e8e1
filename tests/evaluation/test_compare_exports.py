"""Exported files as rows of `compare`."""

import builtins
import pathlib

import keras
import numpy as np
import pytest
from exported_files import (
    BIAS,
    KERNEL,
    WEIGHTS_BYTES,
    write_onnx,
    write_saved_model,
    write_tflite,
)
from models_for_tests import linear, softmax
from sklearn import metrics

from keras_kd import compare
from keras_kd.evaluation.plots import draw
from keras_kd.teachers import TFLiteTeacher

pytestmark = pytest.mark.core
pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("onnxruntime")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype("float32")
Y = RNG.integers(0, 3, 50)
SCORES = X.astype("float64") @ KERNEL + BIAS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def files(folder):
    model = linear(KERNEL, BIAS)
    model.save(folder / "linear.keras")
    return {
        "keras": str(folder / "linear.keras"),
        "tflite": write_tflite(folder / "linear.tflite"),
        "onnx": str(write_onnx(folder / "linear.onnx")),
        "served": write_saved_model(folder / "served"),
    }


@pytest.fixture(scope="module")
def compared(files):
    return compare({"model": linear(KERNEL, BIAS), **files}, (X, Y), reference="model")


def test_files_are_scored_as_the_model_that_is_in_them(compared):
    p = softmax(SCORES)
    for row in compared.rows:
        assert row["accuracy"] == pytest.approx(metrics.accuracy_score(Y, p.argmax(axis=1)))
        assert row["nll"] == pytest.approx(metrics.log_loss(Y, p), rel=1e-5)
        assert row["agreement"] == 1.0 and row["kl"] == pytest.approx(0.0, abs=1e-6)


def test_bytes_of_weights_stand_beside_bytes_of_the_file(compared, files):
    rows = {row["model"]: row for row in compared.rows}
    assert {row["weights_bytes"] for row in compared.rows} == {WEIGHTS_BYTES}
    for name in ("tflite", "onnx"):
        assert rows[name]["size_bytes"] == pathlib.Path(files[name]).stat().st_size
    within = [file for file in files["served"].rglob("*") if file.is_file()]
    assert rows["served"]["size_bytes"] == sum(file.stat().st_size for file in within)
    assert [rows[name]["parameters"] for name in ("model", "keras", "tflite")] == [15, 15, None]
    assert rows["onnx"]["flops"] is None


def test_calls_of_keras_and_of_runtimes_have_columns_of_their_own(compared):
    for row in compared.rows:
        of_keras = row["model"] in ("model", "keras")
        for size in (1, 32):
            assert (row[f"latency_ms_batch{size}"] is not None) == of_keras
            assert (row[f"runtime_latency_ms_batch{size}"] is None) == of_keras
            whose = "" if of_keras else "runtime_"
            median, p95 = (row[f"{whose}latency_{key}_batch{size}"] for key in ("ms", "p95_ms"))
            assert 0.0 < median <= p95
    head = compared.to_markdown().splitlines()[0]
    assert "| Weights | Size | Latency, batch 1 (ms) | Latency, batch 32 (ms) | Runtime lat" in head
    alone = compare({"model": linear(KERNEL)}, (X, Y)).to_markdown()
    assert "Runtime" not in alone


@pytest.mark.alike
def test_tables_and_plots_show_files_as_any_row(compared, tmp_path):
    pytest.importorskip("matplotlib")
    names = ["model", "keras", "tflite", "onnx", "served"]
    page = compared.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(f">{name}</th>" in page for name in names)
    figure = draw(compared.rows, "classification", None, "model")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == names
    assert [text.get_text() for text in figure.axes[-1].texts] == names


@pytest.mark.alike
def test_a_teacher_that_is_a_file_and_one_that_is_gone_by_now(files, tmp_path):
    file = tmp_path / "teacher.tflite"
    file.write_bytes(files["tflite"].read_bytes())
    teacher = TFLiteTeacher(file)
    file.unlink()
    found = compare({"student": linear(KERNEL[:, ::-1])}, (X, Y), reference=teacher)
    assert found.reference == "teacher.tflite (reference)"
    same = (SCORES.argmax(axis=1) == (X @ KERNEL[:, ::-1]).argmax(axis=1)).mean()
    assert found.rows[0]["agreement"] == pytest.approx(same)
    listed = compare({"s": files["onnx"], "t": teacher}, (X, Y), reference=teacher)
    assert listed.reference == "t" and listed.rows[0]["agreement"] == 1.0


@pytest.mark.alike
def test_a_reference_may_be_a_path(files):
    found = compare({"m": linear(KERNEL, BIAS)}, (X, Y), reference=files["tflite"])
    assert found.rows[0]["kl"] == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match=r"a file as a `pathlib.Path`.*Available: \['m'\]"):
        compare({"m": linear(KERNEL)}, (X, Y), reference=str(files["tflite"]))


@pytest.mark.alike
def test_int8_ends_are_real_numbers_to_the_scores(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    file = write_tflite(tmp_path / "int8.tflite", examples=X)
    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    [into], [out] = interpreter.get_input_details(), interpreter.get_output_details()
    assert into["dtype"] == out["dtype"] == np.int8
    scores = []
    for row in X:
        scale, zero = into["quantization"]
        stored = np.clip(np.round(row / scale) + zero, -128, 127).astype("int8")
        interpreter.set_tensor(into["index"], stored[None])
        interpreter.invoke()
        scale, zero = out["quantization"]
        scores.append((interpreter.get_tensor(out["index"])[0].astype("float64") - zero) * scale)
    row = compare({"int8": file}, (X, Y)).rows[0]
    assert row["nll"] == pytest.approx(metrics.log_loss(Y, softmax(np.array(scores))), rel=1e-5)
    # int8 kernel, int32 bias
    assert row["weights_bytes"] == 4 * 3 + 4 * 3


@pytest.mark.alike
def test_files_of_a_fixed_batch_size_answer_any_data(tmp_path):
    models = {
        "one": write_tflite(tmp_path / "one.tflite", batch_size=1),
        "four": write_onnx(tmp_path / "four.onnx", batch_size=4),
        "eight": write_saved_model(tmp_path / "eight", batch_size=8),
    }
    for row in compare(models, (X, Y)).rows:
        assert row["nll"] == pytest.approx(metrics.log_loss(Y, softmax(SCORES)), rel=1e-5)
        assert row["runtime_latency_ms_batch32"] > 0


@pytest.mark.alike
def test_lists_of_files_are_seeds_of_one_kind(tmp_path):
    kernels = [KERNEL + noise for noise in RNG.normal(size=(2, 4, 3)).astype("float32")]
    models = {
        "keras": [linear(kernel, BIAS) for kernel in kernels],
        "onnx": [
            write_onnx(tmp_path / f"{index}.onnx", kernel) for index, kernel in enumerate(kernels)
        ],
    }
    found = compare(models, (X, Y))
    right = [np.mean((X @ kernel + BIAS).argmax(axis=1) == Y) for kernel in kernels]
    for summary in found.summaries:
        assert summary["accuracy"] == pytest.approx(np.mean(right))
        assert summary["accuracy_sd"] == pytest.approx(np.std(right, ddof=1))
    assert found.summaries[1]["weights_bytes"] == WEIGHTS_BYTES
    assert [each.verdict for each in found.differences] == ["NOT TOLD APART"]


@pytest.mark.alike
def test_regression_and_several_labels(files):
    targets = RNG.normal(size=(50, 3)).astype("float32")
    row = compare({"m": files["onnx"]}, (X, targets)).rows[0]
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean((targets - SCORES) ** 2)), rel=1e-5)
    labels = (RNG.random((50, 3)) < 0.5).astype("float32")
    labels[0] = 1.0  # three labels at once are no one-hot rows
    found = compare({"m": files["tflite"]}, (X, labels))
    assert found.task == "multilabel"
    exact = ((SCORES > 0) == labels).all(axis=1).mean()
    assert found.rows[0]["exact_match"] == pytest.approx(exact)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("missing.tflite", FileNotFoundError, r"Received: models\['m'\]='.*missing.tflite'"),
        ("notes.txt", ValueError, r"\.keras, \.tflite, \.onnx.*notes.txt"),
        ("empty", ValueError, r"holds a file `saved_model.pb`. Received: models\['m'\]='.*empty'"),
        ("broken.tflite", ValueError, r"'TFL3' in its bytes.*models\['m'\]='.*broken.tflite'"),
        ("broken.onnx", ValueError, r"cannot be loaded.*models\['m'\]='.*broken.onnx'"),
        ("broken.keras", ValueError, r"cannot be loaded by `keras.saving.*broken.keras'"),
    ],
)
def test_paths_of_no_such_file_are_refused(path, error, message, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("notes.txt", "broken.tflite", "broken.onnx", "broken.keras"):
        (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(error, match=message):
        compare({"m": tmp_path / path}, (X, Y))


def test_remote_paths_are_refused():
    with pytest.raises(ValueError, match=r"mounted file system.*models\['m'\]='gs://b/m.tflite'"):
        compare({"m": "gs://b/m.tflite"}, (X, Y))


@pytest.mark.parametrize(
    ("file", "package", "message"),
    [
        ("tflite", "ai_edge_litert", r"LiteRT.*keras_kd\[export\]"),
        ("onnx", "onnxruntime", r"ONNX Runtime.*keras_kd\[export\]"),
    ],
)
def test_a_runtime_that_is_missing_is_named_with_its_extra(
    file, package, message, files, monkeypatch
):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith(package):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=message):
        compare({"m": files[file]}, (X, Y))


@pytest.mark.parametrize("file", ["tflite", "onnx", "served"])
def test_data_that_a_file_does_not_take_are_refused_with_its_name(file, files):
    with pytest.raises(ValueError, match=r"model 'm'.*takes examples of shape \(4,\).*\(32, 5\)"):
        compare({"m": files[file]}, (np.ones((50, 5)), Y))
    with pytest.raises(ValueError, match=r"model 'm'.*'x' takes float32. Received: values of <U1"):
        compare({"m": files[file]}, (np.full((50, 4), "a"), Y))
    with pytest.raises(ValueError, match=r"Received: \['a', 'b'\]. Available: \['x'\]"):
        compare({"m": files[file]}, ({"a": X, "b": X}, Y))


def test_files_with_other_numbers_of_outputs_are_refused(files, tmp_path):
    other = write_onnx(tmp_path / "two.onnx", KERNEL[:, :2], BIAS[:2])
    with pytest.raises(ValueError, match=r"same number of outputs.*'three'.*'two'"):
        compare({"three": files["tflite"], "two": other}, (X, Y))


@pytest.mark.alike
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch writes no SavedModels")
def test_several_inputs_go_by_name_and_results_of_exports_are_paths(tmp_path):
    from keras_kd import export_student

    left, right = keras.Input((4,), name="left-eye"), keras.Input((2,), name="right")
    hidden = keras.layers.Concatenate()([left, right])
    model = keras.Model({"left-eye": left, "right": right}, keras.layers.Dense(3)(hidden))
    x = {"left-eye": X, "right": X[:, :2], "other": X}
    models = {"model": model, "export": export_student(model, tmp_path / "served")}
    if keras.backend.backend() == "tensorflow":
        # Its format is known, whatever the path ends in.
        models["odd"] = export_student(model, tmp_path / "odd.bin", format="tflite")
    first, *others = compare(models, (x, Y), reference="model").rows
    for row in others:
        assert row["nll"] == pytest.approx(first["nll"], rel=1e-5)
        assert row["weights_bytes"] >= 4 * 6 * 3
    with pytest.raises(
        ValueError, match=r"model 'm'.*Received: \['right'\]. Available: .*'left_eye'"
    ):
        compare({"m": models["export"]}, ({"right": X[:, :2]}, Y))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="is written from TensorFlow")
def test_a_file_of_several_outputs_is_refused_and_they_are_named(tmp_path):
    from keras_kd import export_student

    inputs = keras.Input((4,), name="x")
    outputs = {"a": keras.layers.Dense(3)(inputs), "b": keras.layers.Dense(3)(inputs)}
    result = export_student(keras.Model(inputs, outputs), tmp_path / "two.tflite")
    with pytest.raises(ValueError, match=r"Export one output.*'m' with 2 outputs, \['a', 'b'\]"):
        compare({"m": result}, (X, Y))

import errno
import importlib
import itertools
import pathlib

import keras
import numpy as np
import pytest
from models_for_tests import inferred
from variants import first_of

from keras_kd.export import ExportMismatchError, ExportResult, export_student

module = importlib.import_module("keras_kd.export.export_student")  # beside the function
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
# What can be written on each backend: a folder is a SavedModel.
FORMATS = {
    "tensorflow": ["student", "student.keras", "student.tflite", "student.onnx"],
    "jax": ["student", "student.keras"],
    "torch": ["student.keras"],
}[keras.backend.backend()]


class Subclassed(keras.Model):
    """Does not know its inputs' dtypes, nor that lengths vary."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding = keras.layers.Embedding(9, 4)
        self.pool = keras.layers.GlobalAveragePooling1D()
        self.head, self.shift = keras.layers.Dense(3), keras.layers.Dense(3)

    def call(self, x):
        return self.head(self.pool(self.embedding(x["ids"]))) + self.shift(x["floats"])


class Noisy(keras.layers.Layer):
    """Another at every call, as only Python can be: no export of it is the student."""

    calls = itertools.count()

    def call(self, x):
        return x + float(next(self.calls))


@pytest.mark.core
@first_of("name", FORMATS)
def test_export_equals_student_and_line_is_printed(name, classifier, images, tmp_path, capsys):
    result = export_student(classifier, tmp_path / name, verify_data=images)
    assert isinstance(result, ExportResult)
    assert result.path == tmp_path / name and result.path.exists()
    assert result.max_difference < 1e-5
    assert result.agreement == 1.0
    assert (result.metric, result.metric_change) == ("accuracy", 0.0)
    expected = np.argmax(inferred(classifier, images[0]), axis=-1) == images[1]
    assert result.student_metric == pytest.approx(expected.mean())
    assert (result.examples, result.verified_on) == (50, "verify_data")
    assert result.size_bytes > 0 and result.latency.median > 0
    assert capsys.readouterr().out == f"{result}\n"
    assert list(tmp_path.iterdir()) == [result.path]


@pytest.mark.alike
@pytest.mark.core
@first_of("name", FORMATS)
def test_names_are_kept_apart_for_several_inputs_and_outputs(name, two_by_two, tmp_path):
    model, x = two_by_two
    random = np.random.default_rng(1)
    labels = {"narrow": random.normal(size=(9, 1)), "wide": random.integers(0, 3, 9)}
    result = export_student(model, tmp_path / name, verify_data=(x, labels))
    assert result.max_difference < 1e-5
    assert result.metric in ("wide accuracy", "narrow mean_absolute_error")


@pytest.mark.alike
@pytest.mark.core
@first_of("name", FORMATS)
def test_sequences_of_any_length(name, reader, tmp_path):
    tokens = np.random.default_rng(0).integers(0, 50, (40, 9))
    assert export_student(reader, tmp_path / name, verify_data=tokens).max_difference < 1e-5


@pytest.mark.alike
@pytest.mark.core
@first_of("name", FORMATS)
def test_subclassed_student_learns_its_inputs_from_the_data(name, tmp_path):
    student = Subclassed()
    random = np.random.default_rng(0)
    x = {"ids": random.integers(0, 9, (40, 6)), "floats": random.normal(size=(40, 5))}
    student(x)
    assert export_student(student, tmp_path / name, verify_data=x).max_difference < 1e-5


@pytest.mark.alike
@pytest.mark.core
@first_of("name", FORMATS)
def test_lists_of_inputs_and_outputs_without_data_run_on_random_inputs(name, tmp_path):
    inputs = [keras.Input((4,)), keras.Input((3,))]
    x = keras.layers.Concatenate()(inputs)
    student = keras.Model(inputs, [keras.layers.Dense(2)(x), keras.layers.Dense(3)(x)])
    result = export_student(student, tmp_path / name)
    assert result.max_difference < 1e-5
    assert (result.verified_on, result.metric, result.metric_change) == (
        "random inputs",
        None,
        None,
    )


@first_of("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
@first_of("name", ["student", "student.tflite", "student.onnx"])
def test_students_in_lower_precision_export_and_stay_as_they_are(policy, name, images, tmp_path):
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        student = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.Flatten()]),
                keras.layers.Dense(4, activation="softmax"),
            ]
        )
    finally:
        keras.config.set_dtype_policy(previous)
    before = student.get_weights()
    result = export_student(student, tmp_path / name, verify_data=images)
    assert result.max_difference < 0.02
    assert {layer.dtype_policy.name for layer in student.layers} == {policy}
    assert keras.config.dtype_policy() == previous
    for old, new in zip(before, student.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.core
@first_of("name", FORMATS)
def test_an_export_that_disagrees_leaves_nothing(name, tmp_path):
    student = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), Noisy()])
    with pytest.raises(ExportMismatchError, match=r"disagrees.*output_0.*error") as caught:
        export_student(student, tmp_path / "runs" / name)
    assert caught.value.result.max_difference > 0.1
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.alike
@pytest.mark.core
@pytest.mark.parametrize("name", ["student", "student.keras"])
def test_a_path_that_exists_is_left_alone(name, classifier, tmp_path):
    path = tmp_path / name
    path.write_text("mine")
    with pytest.raises(ValueError, match=r"never overwrite.*Received: path=.*exists"):
        export_student(classifier, path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["student", "student.keras"])
def test_a_path_that_is_taken_at_the_last_moment_is_left_alone(
    name, classifier, tmp_path, monkeypatch
):
    path = tmp_path / name

    def take(found):
        if path.parent.exists() and list(path.parent.glob(".unfinished-*/student*")):
            path.write_text("mine")  # after the last look

    monkeypatch.setattr(module, "check_free", take)
    with pytest.raises((ValueError, OSError), match=str(path)):
        export_student(classifier, path)
    assert path.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["a[b]", "a?", "*/student"])
def test_a_saved_model_that_could_not_be_read_is_refused_at_once(name, classifier, tmp_path):
    with pytest.raises(ValueError, match=r"takes for a pattern.*Received: path="):
        export_student(classifier, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_path_below_a_file_is_refused(classifier, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"must lie in a folder.*Received: path=.*is a file"):
        export_student(classifier, tmp_path / "file" / "student.keras")


def test_a_folder_that_takes_nothing_is_an_error_in_words(classifier, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "mkdir", full)
    with pytest.raises(OSError, match=r"Nothing could be written there.*No space left"):
        export_student(classifier, tmp_path / "student.keras")


@pytest.mark.alike
@pytest.mark.core
def test_a_distiller_is_refused_in_favour_of_its_student(classifier, tmp_path):
    distiller = keras.Sequential([classifier])
    distiller.student = classifier
    with pytest.raises(ValueError, match=r"pass `distiller\.student`"):
        export_student(distiller, tmp_path / "student")


@pytest.mark.core
def test_an_unbuilt_student_is_refused(tmp_path):
    student = keras.Sequential([keras.layers.Dense(2)], name="fresh")
    with pytest.raises(ValueError, match=r"built student was expected.*'fresh'"):
        export_student(student, tmp_path / "student")


@pytest.mark.core
def test_something_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"keras\.Model was expected.*Received: student=3"):
        export_student(3, tmp_path / "student")


@pytest.mark.alike
@pytest.mark.core
@pytest.mark.parametrize(("name", "quantize"), [("s.keras", "int8"), ("s.tflite", "int4")])
def test_impossible_quantisation_lists_what_is_possible(name, quantize, classifier, tmp_path):
    with pytest.raises(ValueError, match=rf"'tflite': \['float16'.*quantize='{quantize}'"):
        export_student(classifier, tmp_path / name, quantize=quantize)


@pytest.mark.alike
@pytest.mark.core
def test_int8_without_calibration_data_says_what_to_pass(classifier, images, tmp_path):
    with pytest.raises(ValueError, match="pass `calibration_data`, a batched"):
        export_student(classifier, tmp_path / "s.tflite", quantize="int8", verify_data=images)


@pytest.mark.alike
@pytest.mark.core
def test_data_that_yields_nothing_is_refused(classifier, tmp_path):
    with pytest.raises(ValueError, match="yields no batch"):
        export_student(classifier, tmp_path / "s.keras", verify_data=np.zeros((0, 8, 8, 1)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.alike
@pytest.mark.core
def test_examples_that_are_not_batched_are_refused(classifier, images, tmp_path):
    with pytest.raises(ValueError, match=r"Batches of examples.*shape \(8, 8, 1\)"):
        export_student(classifier, tmp_path / "s.keras", verify_data=images[0][0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.alike
@pytest.mark.core
def test_data_sets_of_keras_are_walked(classifier, images, tmp_path):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return tuple(part[25 * index : 25 * index + 25] for part in images)

    result = export_student(classifier, tmp_path / "s.keras", verify_data=Batches())
    assert (result.examples, result.metric) == (50, "accuracy")


def test_data_sets_of_tensorflow_are_walked(classifier, images, tmp_path):
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices(images).shuffle(50).batch(16)
    result = export_student(classifier, tmp_path / "student", verify_data=data)
    assert (result.examples, result.agreement) == (50, 1.0)


@pytest.mark.alike
@pytest.mark.core
def test_format_wins_over_the_suffix(classifier, tmp_path):
    result = export_student(classifier, tmp_path / "student.v2", format="keras")
    assert result.format == "keras"
    assert (tmp_path / "student.v2").is_file()


@pytest.mark.parametrize("name", ["student", "student.keras"])
def test_text_goes_in_where_the_runtime_reads_strings(name, tmp_path):
    student, texts = _text_student()
    labels = np.array([0, 1, 1])
    result = export_student(student, tmp_path / name, verify_data=(texts, labels))
    assert (result.max_difference, result.metric) == (0.0, "accuracy")


@pytest.mark.parametrize("name", ["student.tflite", "student.onnx"])
def test_text_is_refused_where_the_runtime_reads_none(name, tmp_path):
    student, texts = _text_student()
    with pytest.raises(ValueError, match="Strings can be exported in the formats 'saved_model'"):
        export_student(student, tmp_path / name, verify_data=texts)


def test_text_without_data_says_what_to_pass(tmp_path):
    student, _ = _text_student()
    with pytest.raises(ValueError, match="strings cannot be made up: pass `verify_data`"):
        export_student(student, tmp_path / "student")


def test_what_the_converter_lacks_is_told_and_nothing_stays(tmp_path):
    class Stringy(keras.layers.Layer):
        def call(self, x):
            import tensorflow as tf

            return tf.strings.to_number(tf.strings.as_string(x))

    student = keras.Sequential([keras.Input((4,)), Stringy()], name="odd")
    with pytest.raises(ValueError, match=r"cannot be exported in format 'tflite'.*AsString"):
        export_student(student, tmp_path / "student.tflite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.core
@pytest.mark.skipif(ON_TENSORFLOW, reason="there everything can be written")
def test_on_other_backends_what_cannot_be_written_says_how_to_go_on(tmp_path):
    student = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    assert export_student(student, tmp_path / "s.keras").agreement == 1.0
    for name in ("s.tflite", "s.onnx"):
        with pytest.raises(ValueError, match=r"Save the student as `\.keras`"):
            export_student(student, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["s.keras"]


@pytest.mark.core
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="of the PyTorch backend")
def test_on_pytorch_what_cannot_be_written_says_how_to_go_on(classifier, tmp_path):
    for name in ("folder", "s.tflite", "s.onnx"):
        with pytest.raises(ValueError, match=r"Save the student as `\.keras`.*backend='torch'"):
            export_student(classifier, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def _text_student():
    texts = np.array(["a b", "c d a", "b"])
    vocabulary = keras.layers.TextVectorization(20, output_sequence_length=4)
    vocabulary.adapt(texts)
    student = keras.Sequential(
        [
            keras.Input((), dtype="string"),
            vocabulary,
            keras.layers.Embedding(20, 4),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(2),
        ]
    )
    return student, texts


@pytest.mark.core
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_student_that_answers_no_number_is_not_exported(value, tmp_path):
    student = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    student.layers[0].bias.assign([0.0, value])
    with pytest.raises(ExportMismatchError, match=r"NaN or infinity.*'output_0' of example 0"):
        export_student(student, tmp_path / "student.keras")
    assert list(tmp_path.iterdir()) == []
    # What no class can be is minus infinity, and a number.
    student.layers[0].bias.assign([0.0, -np.inf])
    assert export_student(student, tmp_path / "student.keras").agreement == 1.0

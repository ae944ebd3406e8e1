import keras
import numpy as np
import pytest
import tensorflow as tf
from models_for_tests import examples, inferred, net

from keras_kd import export_student
from keras_kd.teachers import TFLiteTeacher

pytest.importorskip("ai_edge_litert")
X = examples(7)[0]


def converter(model, batch_size):
    """Makes files as converters wrote them before there were signatures."""
    concrete = tf.function(model).get_concrete_function(tf.TensorSpec((batch_size, 4)))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    teacher, path = net(seed=3), tmp_path_factory.mktemp("tflite") / "teacher.tflite"
    export_student(teacher, path)
    return teacher, path


def test_it_answers_what_the_model_answers_in_batches_of_any_size(exported):
    model, path = exported
    teacher, expected = TFLiteTeacher(path), inferred(model, X)
    for size in (7, 1, 3):
        answers = np.concatenate([teacher(X[i : i + size]) for i in range(0, 7, size)])
        np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-6)
    assert teacher(X.astype("float64")).dtype == np.float32
    assert len(teacher.input_names) == len(teacher.output_names) == 1


def test_several_inputs_and_outputs_go_by_their_names(tmp_path):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), dtype="int32", name="b")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(5, 2)(b))
    outputs = {
        "one": keras.layers.Dense(2, name="one")(a),
        "two": keras.layers.Dense(4, name="two")(embedded),
    }
    model = keras.Model({"a": a, "b": b}, outputs)
    export_student(model, tmp_path / "two.tflite")
    teacher = TFLiteTeacher(tmp_path / "two.tflite")
    x = {"a": np.ones((3, 2), "float32"), "b": np.arange(9).reshape(3, 3) % 5}
    answers = teacher({**x, "c": np.zeros(3)})  # what belongs to the student, say
    for name, expected in inferred(model, x).items():
        np.testing.assert_allclose(answers[name], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"dict of arrays.*Received: \['a'\]. Available: \['a', "):
        teacher({"a": x["a"]})
    with pytest.raises(TypeError, match=r"'b' takes int32. Received: values of float32"):
        teacher({**x, "b": x["b"].astype("float32")})


def test_a_file_of_one_batch_size_is_asked_so_many_at_a_time(tmp_path):
    teacher, file = net(seed=3), tmp_path / "four.tflite"
    file.write_bytes(converter(teacher, 4).convert())
    answers = TFLiteTeacher(file)(X)  # 7 examples: 4, and 3 that are filled up
    np.testing.assert_allclose(answers, inferred(teacher, X), rtol=1e-5, atol=1e-6)


def test_a_file_without_a_signature_runs(tmp_path):
    teacher, file = net(seed=3), tmp_path / "bare.tflite"
    file.write_bytes(converter(teacher, None).convert())
    expected = inferred(teacher, X)
    np.testing.assert_allclose(TFLiteTeacher(file)(X), expected, rtol=1e-5, atol=1e-6)


def test_integers_with_a_scale_are_real_numbers(tmp_path):
    teacher = net(seed=3)
    whole = converter(teacher, None)
    whole.optimizations = [tf.lite.Optimize.DEFAULT]
    whole.representative_dataset = lambda: ([row[None]] for row in X)
    whole.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    whole.inference_input_type = whole.inference_output_type = tf.int8
    (tmp_path / "int8.tflite").write_bytes(whole.convert())
    expected = inferred(teacher, X)
    answers = TFLiteTeacher(tmp_path / "int8.tflite")(X)
    assert answers.dtype == np.float32
    # 8 bits of the range of what goes in, of each layer and of what comes out
    np.testing.assert_allclose(answers, expected, atol=6.0 * np.ptp(expected) / 255.0)


def test_the_file_may_change_without_the_teacher(exported, tmp_path):
    file = tmp_path / "teacher.tflite"
    file.write_bytes(exported[1].read_bytes())
    teacher = TFLiteTeacher(file)
    before, fingerprint = teacher(X), teacher.fingerprint()
    assert fingerprint == TFLiteTeacher(exported[1]).fingerprint()
    file.unlink()
    export_student(net(seed=4), file)
    assert TFLiteTeacher(file).fingerprint() != fingerprint == teacher.fingerprint()
    np.testing.assert_array_equal(teacher(X), before)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((3, 5)), ValueError, r"examples of shape \(4,\).*batch of shape \(3, 5\)"),
        (np.ones(4), ValueError, r"batch of shape \(4,\)"),
        (np.full((3, 4), "word"), TypeError, "takes float32. Received: values of <U4"),
        ([[1.0] * 4], ValueError, "an array where it has one. Received: list. Available"),
        ({"other": np.ones((3, 4))}, ValueError, r"Received: \['other'\]"),
    ],
)
def test_what_the_file_does_not_take_is_refused(exported, x, error, message):
    with pytest.raises(error, match=message):
        TFLiteTeacher(exported[1])(x)


def test_what_is_no_such_file_is_refused(exported, tmp_path):
    (tmp_path / "other.tflite").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"must be a LiteRT file.*first bytes are b'somethin'"):
        TFLiteTeacher(tmp_path / "other.tflite")
    with pytest.raises(FileNotFoundError):
        TFLiteTeacher(tmp_path / "missing.tflite")
    with pytest.raises(ValueError, match=r"Received: signature='train'. Available: \['"):
        TFLiteTeacher(exported[1], signature="train")


def test_threads_are_at_least_one(exported):
    with pytest.raises(ValueError, match="Received: num_threads=0"):
        TFLiteTeacher(exported[1], num_threads=0)

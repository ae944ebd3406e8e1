"""Strings that teacher and student each cut in their own way."""

import keras
import numpy as np
import pytest
from models_for_tests import EAGER
from variants import first_of

from keras_kd import Distiller, TeacherCache, export_student
from keras_kd.losses import AttentionLoss, HiddenStateLoss, MiniLMLoss
from keras_kd.models import bert_classifier, text_cnn, text_transformer

keras_hub = pytest.importorskip("keras_hub")
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="strings are TensorFlow's"
)
TEXTS = ["a good film", "a bad film", "good", "bad", "not a bad film", "no good"]
LABELS = np.array([1, 0, 1, 0, 1, 0], "int32")
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film", "no", "##t"]
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def strings():
    return keras.ops.convert_to_tensor(TEXTS)


def batches(size=6):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(size)


def on_strings(cut, model):
    """The model behind what cuts strings."""
    text = keras.Input((), dtype="string", name="text")
    return keras.Model(text, model(cut(text)), name=model.name)


def bert(length=10):
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(PIECES),
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=length,
    )
    return bert_classifier(backbone, length, 2, name="teacher")


def bert_on_strings(length=10):
    tokenizer = keras_hub.models.BertTokenizer(PIECES)
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(
        tokenizer, sequence_length=length
    )
    return on_strings(lambda text: preprocessor(text)["token_ids"], bert(length))


def words(length=6):
    layer = keras.layers.TextVectorization(output_sequence_length=length)
    layer.adapt(TEXTS)
    return layer


def cnn(vocabulary_size=12):
    return text_cnn(6, vocabulary_size, 2, width=8, windows=(2,), dropout=0.0, name="student")


def cnn_on_strings():
    cut = words()
    return on_strings(cut, cnn(cut.vocabulary_size()))


def test_each_side_cuts_strings_in_its_own_way(tmp_path):
    keras.utils.set_random_seed(0)
    student, teacher = cnn_on_strings(), bert_on_strings()
    distiller = Distiller(student, teacher, alpha=0.5, temperature=2.0)
    distiller.compile(keras.optimizers.Adam(3e-2), CROSS_ENTROPY, metrics=["accuracy"])
    history = distiller.fit(batches(), epochs=20, verbose=0).history
    assert history["student_loss"][-1] < 0.5 * history["student_loss"][0]
    assert history["accuracy"][-1] == 1.0
    again = distiller.evaluate(strings(), LABELS, verbose=0, return_dict=True)
    assert again["accuracy"] == 1.0
    result = export_student(student, tmp_path / "model", verify_data=(np.array(TEXTS), LABELS))
    assert (result.metric, result.export_metric) == ("accuracy", 1.0)


@pytest.mark.slow
def test_a_cache_keeps_what_was_said_of_strings(tmp_path):
    keras.utils.set_random_seed(0)
    teacher = bert_on_strings()
    told = TeacherCache(tmp_path / "cache", teacher).label((np.array(TEXTS), LABELS))
    x, _ = next(iter(told.batch(6)))
    assert list(x["inputs"].numpy().astype(str)) == TEXTS
    np.testing.assert_allclose(
        x["teacher_outputs"], teacher.predict(strings(), verbose=0), rtol=1e-2, atol=1e-3
    )
    cut = words()
    student = cnn(cut.vocabulary_size())
    ids = told.batch(6).map(lambda x, y: ({**x, "inputs": cut(x["inputs"])}, y))
    distiller = Distiller(student, alpha=0.0)
    distiller.compile(keras.optimizers.Adam(1e-2), **EAGER)
    history = distiller.fit(ids, epochs=10, verbose=0).history
    assert history["kd_loss"][-1] < 0.5 * history["kd_loss"][0]
    result = export_student(
        student, tmp_path / "student.tflite", verify_data=(np.asarray(cut(strings())), LABELS)
    )
    assert result.agreement == 1.0


@pytest.mark.parametrize("form", ["arrays", "tf.data"])
def test_strings_for_a_model_of_ids_are_refused(form):
    distiller = Distiller(cnn(), cnn())
    distiller.compile("sgd", CROSS_ENTROPY, **EAGER)
    data = (strings(), LABELS) if form == "arrays" else (batches(),)
    message = r"student takes numbers, such as token ids.*string.*'student' takes int32"
    with pytest.raises(ValueError, match=message):
        distiller.fit(*data, verbose=0)
    with pytest.raises(ValueError, match=message):
        distiller.predict(strings(), verbose=0)


def test_ids_for_a_model_of_strings_are_refused():
    distiller = Distiller(cnn_on_strings(), bert_on_strings())
    distiller.compile("sgd", CROSS_ENTROPY)
    with pytest.raises(ValueError, match=r"student cuts strings itself and was given numbers"):
        distiller.fit(np.ones(6, "int32"), LABELS, verbose=0)


def test_one_model_of_strings_and_one_of_ids_are_refused():
    with pytest.raises(ValueError, match=r"same input.*student 'student' of int32.*of string"):
        Distiller(cnn(), bert_on_strings())
    with pytest.raises(ValueError, match=r"same input.*student 'student' of string.*of int32"):
        Distiller(cnn_on_strings(), bert())


def test_a_cache_of_a_teacher_of_ids_refuses_strings(tmp_path):
    texts = np.tile(np.array(TEXTS)[:, None], (1, 10))
    with pytest.raises(ValueError, match=r"teacher takes numbers, such as token ids.*\(10,\)"):
        TeacherCache(tmp_path, bert()).label((texts, LABELS))


@first_of("loss", [HiddenStateLoss, AttentionLoss, MiniLMLoss])
def test_places_that_cannot_correspond_are_refused(loss):
    student = text_transformer(6, 12, 2, width=8, heads=2, name="student")
    layers = {"block2": "transformer_layer_1"}
    message = r"'block2'.*'transformer_layer_1'.*student=.*6.*teacher=.*10"
    with pytest.raises(ValueError, match=message):
        Distiller(student, bert(10), feature_losses=[loss(layers=layers)])


@pytest.mark.slow
def test_places_that_correspond_are_compared():
    keras.utils.set_random_seed(0)
    student = text_transformer(10, len(PIECES), 2, width=8, heads=2, name="student")
    layers = {"block1": "transformer_layer_0", "block2": "transformer_layer_1"}
    losses = [loss(layers=layers) for loss in (HiddenStateLoss, AttentionLoss, MiniLMLoss)]
    distiller = Distiller(student, bert(), feature_losses=losses)
    distiller.compile(keras.optimizers.Adam(1e-2), CROSS_ENTROPY, **EAGER)
    tokens = np.array([[2, 5, 6, 8, 3, 0, 0, 0, 0, 0], [2, 7, 3, 0, 0, 0, 0, 0, 0, 0]] * 3)
    history = distiller.fit(tokens, LABELS, epochs=12, verbose=0).history
    for loss in losses:
        assert history[loss.name][-1] < history[loss.name][0]

"""KerasHub's tasks with their preprocessors, by every door."""

import keras
import numpy as np
import pytest
from models_for_tests import EAGER, cross_entropy, sgd

from keras_kd import Distiller, TeacherCache
from keras_kd.evaluation import compare
from keras_kd.export import export_student

keras_hub = pytest.importorskip("keras_hub")
pytestmark = [pytest.mark.core, pytest.mark.alike]

WORDS = list("abcdefghij")
TEXTS = np.array(["a b c", "d e", "f", "g h i j", "a", "b b", "c d e f", "j"])
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3)).astype("float32")
LABELS = np.arange(8) % 3


def text_task(seed=0):
    keras.utils.set_random_seed(seed)
    models, vocabulary = keras_hub.models, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    tokenizer = models.BertTokenizer(vocabulary=vocabulary)
    backbone = models.BertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=8,
        max_sequence_length=8,
    )
    return models.BertTextClassifier(
        backbone,
        num_classes=3,
        preprocessor=models.BertTextClassifierPreprocessor(tokenizer, sequence_length=8),
    )


def image_task(seed=0):
    keras.utils.set_random_seed(seed)
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
        image_shape=(8, 8, 3),
    )
    converter = keras_hub.layers.ResNetImageConverter(image_size=(8, 8), scale=1.0 / 255.0)
    return keras_hub.models.ResNetImageClassifier(
        backbone=backbone,
        num_classes=3,
        preprocessor=keras_hub.models.ResNetImageClassifierPreprocessor(converter),
    )


@pytest.fixture(scope="module")
def teacher():
    return text_task(1)


@pytest.fixture(scope="module")
def tokens(teacher):
    return keras.tree.map_structure(np.asarray, teacher.preprocessor(list(TEXTS)))


def fit(student, teacher, x):
    model = Distiller(student, teacher)
    model.compile(sgd(), cross_entropy(), **EAGER)
    return model.fit(x, LABELS, verbose=0)


def told(folder, teacher, x, **settings):
    """What a cache has of a teacher's answers."""
    cache = TeacherCache(folder, teacher, dtype="float32", **settings)
    (x, _), *_ = cache.label((x, LABELS)).batch(8).as_numpy_iterator()
    return x["teacher_outputs"]


def test_a_step_says_what_it_cannot_run_and_the_cure_cures(teacher, tokens):
    with pytest.raises(ValueError, match=r"student is a task with a preprocessor.*TeacherCache"):
        fit(text_task(), teacher, TEXTS)
    with pytest.raises(ValueError, match=r"student\.preprocessor = None"):
        fit(image_task(), image_task(1), IMAGES)
    fit(text_task(), teacher, tokens)  # what is preprocessed needs nothing
    student, other = image_task(), image_task(1)
    x = np.asarray(other.preprocessor(IMAGES))
    student.preprocessor = other.preprocessor = None
    fit(student, other, x)


@pytest.mark.parametrize("layers", [[], ["logits"]])
def test_a_cache_hears_of_raw_and_of_preprocessed_texts_the_same(tmp_path, teacher, tokens, layers):
    expected = teacher.predict(TEXTS, verbose=0)
    for name, x in (("raw", TEXTS), ("tokens", tokens)):
        found = told(tmp_path / name, teacher, x, layers=layers)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_cache_hears_of_images_what_the_task_predicts(tmp_path):
    task = image_task()
    expected = task.predict(IMAGES, verbose=0)
    for name, layers in (("outputs", []), ("layers", ["predictions"])):
        found = told(tmp_path / name, task, IMAGES, layers=layers)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_compare_takes_raw_and_preprocessed_texts(teacher, tokens):
    texts = [str(compare({"task": teacher}, (x, LABELS))) for x in (TEXTS, tokens)]
    accuracy = [text.splitlines()[2].split("|")[2] for text in texts]
    assert accuracy[0] == accuracy[1]


def test_an_exported_task_is_checked_on_its_models_inputs(tmp_path, tokens):
    result = export_student(text_task(), tmp_path / "task.keras", calibration_data=tokens)
    assert result.agreement == 1.0

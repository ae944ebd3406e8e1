"""KerasHub's tasks with their preprocessors, by every door."""

from functools import partial

import keras
import numpy as np
import pytest
from models_for_tests import EAGER, cross_entropy, inferred, sgd
from untraced import Untraced
from variants import first_of

from keras_kd import Distiller, TeacherCache
from keras_kd.evaluation import compare
from keras_kd.export import export_student
from keras_kd.losses import GradientLoss, HiddenStateLoss, KDLoss
from keras_kd.teachers import Ensemble, MovingAverage, PerOutput

keras_hub = pytest.importorskip("keras_hub")
tf = pytest.importorskip("tensorflow")
models = keras_hub.models
pytestmark = [pytest.mark.core, pytest.mark.alike]

WORDS = list("abcdefghij")
TEXTS = np.array(["a b c", "d e", "f", "g h i j", "a", "b b", "c d e f", "j"])
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3)).astype("float32")
LABELS = np.arange(8) % 3


BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
SMALL = {
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 8,
    "max_sequence_length": 8,
    "dropout": 0.0,
}


WAYS = ["in Python", pytest.param("traced", marks=pytest.mark.slow)]


@pytest.fixture(autouse=True, scope="module", params=WAYS)
def way(request):
    """`make test-all` has `tf.data` trace KerasHub's operations in every test."""
    Untraced.traced = request.param == "traced"
    yield
    Untraced.traced = False


@keras.saving.register_keras_serializable(package="tests")
class Texts(Untraced, keras_hub.models.BertTextClassifierPreprocessor): ...


class CausalTexts(Untraced, keras_hub.models.GPT2CausalLMPreprocessor): ...


class MaskedTexts(Untraced, keras_hub.models.BertMaskedLMPreprocessor): ...


def text_task(seed=0, kind=Texts):
    keras.utils.set_random_seed(seed)
    tokenizer = models.BertTokenizer(vocabulary=BERT)
    return models.BertTextClassifier(
        models.BertBackbone(vocabulary_size=len(BERT), **SMALL),
        num_classes=3,
        dropout=0.0,
        preprocessor=kind(tokenizer, sequence_length=8),
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


def causal_task(seed=0):
    keras.utils.set_random_seed(seed)
    words = ["<|endoftext|>", *WORDS, "Ġ", "ab"]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = models.GPT2Tokenizer(vocabulary=vocabulary, merges=["a b"])
    backbone = models.GPT2Backbone(vocabulary_size=len(vocabulary), **SMALL)
    return models.GPT2CausalLM(backbone, preprocessor=CausalTexts(tokenizer, sequence_length=8))


@pytest.fixture(scope="module")
def teacher():
    task = text_task(1)
    task.layers[-1].bias.assign([1.0, -1.0, 0.0])  # no logits that look like probabilities
    return task


@pytest.fixture(scope="module")
def tokens(teacher):
    return keras.tree.map_structure(np.asarray, teacher.preprocessor(list(TEXTS)))


TASKS = {
    "text": (text_task, TEXTS),
    "traced text": (partial(text_task, kind=models.BertTextClassifierPreprocessor), TEXTS),
    "image": (image_task, IMAGES),
    "causal": (causal_task, TEXTS),
}


def distiller(student, teacher):
    model = Distiller(student, teacher)
    model.compile(sgd(0.0), cross_entropy(), **EAGER)
    return model


def logs_of(student, teacher, *data, **settings):
    history = distiller(student, teacher).fit(*data, verbose=0, **settings).history
    return {name: values[0] for name, values in history.items()}


def told(folder, teacher, x, **settings):
    """What a cache has of a teacher's answers."""
    cache = TeacherCache(folder, teacher, dtype="float32", **settings)
    (x, _), *_ = cache.label((x, LABELS)).batch(8).as_numpy_iterator()
    return x["teacher_outputs"]


def check_doors(task, doors, folder):
    """Each door gives on raw data what plain arrays give that the preprocessor has seen."""
    make, x = TASKS[task]
    student, teacher, y = make(0), make(1), None if "causal" in task else LABELS
    teacher.preprocessor = student.preprocessor  # it is traced once then
    ready = keras.utils.unpack_x_y_sample_weight(student.preprocessor(list(x), y))
    ready = [keras.tree.map_structure(np.asarray, part) for part in ready if part is not None]
    examples = tf.data.Dataset.from_tensor_slices(x if y is None else (x, y))
    listed = list(x) if task != "image" else x
    found = []
    if "arrays" in doors:
        found.append(logs_of(student, teacher, listed, y))
    if "split" in doors:
        found.append(logs_of(student, teacher, x, y, batch_size=4, validation_split=0.5))
        assert "val_loss" in found.pop()
    if "dataset" in doors:
        found.append(logs_of(student, teacher, examples.batch(8), validation_data=(x, y)))
        assert "val_loss" in found[-1]
    if "cached" in doors:
        answers = TeacherCache(folder, teacher, dtype="float32").label(examples).batch(8)
        found.append(logs_of(student, None, answers))
    if "batch" in doors:
        model = distiller(student, teacher)
        found.append(model.train_on_batch(x, y, return_dict=True))
        predicted = model.predict_on_batch(x)
        np.testing.assert_allclose(predicted, student.predict_on_batch(listed), atol=1e-5)
    x, y, *weight = ready
    student.preprocessor = teacher.preprocessor = None
    expected = logs_of(student, teacher, x, y, sample_weight=weight[0] if weight else None)
    for logs in found:
        assert {name: logs[name] for name in expected} == pytest.approx(
            expected, rel=1e-4, abs=1e-6
        )


def test_raw_images_teach_as_preprocessed_ones_do_by_every_door(tmp_path):
    check_doors("image", ("arrays", "split", "dataset", "cached", "batch"), tmp_path)


@pytest.mark.parametrize("task", ["traced text", "causal"])
def test_raw_texts_teach_as_tokens_do(task, tmp_path):
    check_doors(task, ("arrays", "batch"), tmp_path)


@pytest.mark.slow  # KerasHub's tokenizers take seconds to trace, once for each data set
@pytest.mark.parametrize("task", ["text", "causal"])
def test_raw_texts_teach_as_tokens_do_by_every_door(task, tmp_path):
    check_doors(task, ("arrays", "split", "dataset", "cached"), tmp_path)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        rows = slice(4 * index, 4 * index + 4)
        return IMAGES[rows], LABELS[rows]


def knowledge(student, teacher, *data):
    """The `kd_loss` of an evaluation, without training's statistics of batches."""
    model = Distiller(student, teacher, alpha=0.0, validate_with_teacher=True)
    model.compile(sgd(0.0), cross_entropy(), **EAGER)
    return model.evaluate(*data, verbose=0, return_dict=True)["kd_loss"]


def test_each_task_has_its_own_preprocessor_and_a_plain_model_none():
    student, teacher = image_task(0), image_task(1)
    teacher.preprocessor.image_converter.scale = 1.0 / 51.0
    plain = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    hear = teacher.predict(IMAGES, verbose=0)
    for ours, data in (
        (student, (IMAGES, LABELS)),
        (student, (((x, y) for x, y in [Batches()[0], Batches()[1]]),)),
        (plain, (Batches(),)),
    ):
        expected = KDLoss()(hear, ours.predict(IMAGES, verbose=0), temperature=4.0)
        assert knowledge(ours, teacher, *data) == pytest.approx(float(expected), rel=1e-3)
    with pytest.raises(ValueError, match=r"may want raw or preprocessed.*teacher_inputs"):
        knowledge(student, plain, IMAGES, LABELS)
    model = distiller(student, plain)  # doors that run no teacher need not know
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), student.predict(IMAGES, verbose=0))
    assert model.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)["loss"] > 0.0
    scores = plain.predict(IMAGES / 7, verbose=0), student.predict(IMAGES, verbose=0)
    expected = float(KDLoss()(*scores, temperature=4.0))
    given = {"inputs": IMAGES, "teacher_inputs": IMAGES / 7}
    assert knowledge(student, plain, given, LABELS) == pytest.approx(expected, rel=1e-3)


def test_a_call_says_what_it_does_not_preprocess(teacher):
    with pytest.raises(ValueError, match=r"a task with a preprocessor.*student\.preprocessor\(x\)"):
        Distiller(text_task(), teacher)(IMAGES)
    loss = GradientLoss()
    model = Distiller(image_task(), image_task(1), feature_losses=[loss])
    model.compile(sgd(), cross_entropy())
    with pytest.raises(ValueError, match=r"gradients at the same inputs.*one preprocessor"):
        model.fit(IMAGES, LABELS, verbose=0)


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
    texts = [str(compare({"task": teacher}, (x, LABELS))) for x in (TEXTS, list(TEXTS), tokens)]
    accuracy = {text.splitlines()[2].split("|")[2] for text in texts}
    assert len(accuracy) == 1


@first_of("task", ["text", "causal"])
def test_an_exported_task_is_checked_on_its_models_inputs(tmp_path, task):
    student = TASKS[task][0]()
    exports = {"none.keras": None, "raw.keras": TEXTS}
    last = "tflite" if keras.backend.backend() == "tensorflow" else "keras"
    for name, x in {**exports, f"list.{last}": list(TEXTS)}.items():
        assert export_student(student, tmp_path / name, verify_data=x).agreement > 0.999


def masked_task(seed=0):
    keras.utils.set_random_seed(seed)
    preprocessor = MaskedTexts(
        models.BertTokenizer(vocabulary=BERT), sequence_length=8, mask_selection_length=3
    )
    backbone = models.BertBackbone(vocabulary_size=len(BERT), **SMALL)
    return models.BertMaskedLM(backbone, preprocessor=preprocessor)


def test_preprocessors_that_draw_at_random_must_be_one(tmp_path):
    student, teacher = masked_task(), masked_task()
    with pytest.raises(ValueError, match=r"draws random numbers.*teacher\.preprocessor = student"):
        distiller(student, teacher).fit(TEXTS, verbose=0)
    with pytest.raises(ValueError, match=r"for a TeacherCache preprocess the data once"):
        TeacherCache(tmp_path, teacher).label(TEXTS)
    teacher.preprocessor = student.preprocessor
    assert knowledge(student, teacher, TEXTS) == pytest.approx(0.0, abs=1e-6)


def test_an_ensemble_of_images_needs_one_preprocessor():
    members = [image_task(1), image_task(2)]
    with pytest.raises(ValueError, match=r"one preprocessor.*models\[0\].*ClassifierPreprocessor"):
        Ensemble(members)
    members[1].preprocessor = members[0].preprocessor
    ensemble = Ensemble(members, average="logits")
    answers = [member.predict(IMAGES, verbose=0) for member in members]
    found = logs_of(image_task(3), ensemble, IMAGES, LABELS)["kd_loss"]
    ensemble.preprocessor = None  # all members' and the ensemble's
    assert members[0].preprocessor is None and ensemble.preprocessor is None
    student = image_task(3)
    x, student.preprocessor = np.asarray(student.preprocessor(IMAGES)), None
    data = {"inputs": x, "teacher_outputs": np.mean(answers, axis=0)}
    alone = Distiller(student, kd_loss=KDLoss(teacher_from_logits=True))
    alone.compile(sgd(0.0), cross_entropy(), **EAGER)
    assert found == pytest.approx(alone.fit(data, LABELS, verbose=0).history["kd_loss"][0], 1e-4)


TEACHERS = {
    "ensemble": lambda task: Ensemble([task, shared(text_task(2), task)]),
    "average": MovingAverage,
    "task": lambda task: task,
}


def shared(task, with_whom):
    task.preprocessor = with_whom.preprocessor
    return task


@pytest.mark.parametrize(
    "kind",
    # What the others show too: raw data in tests/schemes, sharing again in `ensemble`.
    ["ensemble", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("average", "task"))],
)
def test_models_that_share_a_preprocessor_are_saved_and_go_on(kind, tmp_path):
    student = text_task(0)
    task = student if kind == "average" else shared(text_task(1), student)
    model = distiller(student, TEACHERS[kind](task))
    assert model.teacher.preprocessor is student.preprocessor
    raw = model.fit(TEXTS, LABELS, verbose=0).history
    model.save(tmp_path / "distiller.keras")
    loaded = keras.models.load_model(tmp_path / "distiller.keras")
    assert loaded.teacher.preprocessor is loaded.student.preprocessor
    tokens = keras.tree.map_structure(np.asarray, student.preprocessor(list(TEXTS)))
    np.testing.assert_allclose(loaded.predict(TEXTS), inferred(student, tokens), atol=1e-6)
    for data in (TEXTS, tokens):  # nothing moved at rate 0
        found = loaded.fit(data, LABELS, verbose=0).history
        assert found == {name: pytest.approx(value, 1e-4, 1e-6) for name, value in raw.items()}


def test_an_ensemble_of_other_preprocessors_is_not_given_the_students_tokens(tokens):
    student, ensemble = text_task(0), Ensemble([text_task(1), text_task(2)], from_logits=True)
    model = distiller(student, ensemble)
    with pytest.raises(ValueError, match=r"Ensemble prepares a batch once.*models\[1\]"):
        model.fit(TEXTS, LABELS, verbose=0)
    model.fit(tokens, LABELS, verbose=0)  # the user's own
    shared(ensemble.models[1], shared(ensemble.models[0], student))
    model.fit(TEXTS, LABELS, verbose=0)


def test_teachers_of_outputs_share_a_preprocessor(tmp_path):
    kind, tone = text_task(1), text_task(2)
    with pytest.raises(ValueError, match=r"PerOutput prepares a batch once.*'kind'.*'tone'"):
        PerOutput({"kind": kind, "tone": tone})
    teacher = PerOutput({"kind": kind, "tone": shared(tone, kind)})
    examples = tf.data.Dataset.from_tensor_slices(TEXTS)
    cache = TeacherCache(tmp_path, teacher, dtype="float32")
    x, *_ = cache.label(examples).batch(8).as_numpy_iterator()
    for output, task in (("kind", kind), ("tone", tone)):
        expected = task.predict(list(TEXTS), verbose=0)
        np.testing.assert_allclose(x["teacher_outputs"][output], expected, atol=1e-5)


def test_layers_of_a_task_teach_students_of_open_length_through_the_cache(tmp_path, teacher):
    student, name = text_task(), "transformer_layer_0"
    runs = []
    for theirs in (None, teacher):
        data = (TEXTS, LABELS)
        if theirs is None:
            cache = TeacherCache(tmp_path, teacher, dtype="float32", layers=[name])
            data = (cache.label(data).batch(8),)
        model = Distiller(student, theirs, feature_losses=[HiddenStateLoss(layers={name: name})])
        model.compile(sgd(0.0), cross_entropy(), **EAGER)
        runs.append(model.fit(*data, verbose=0).history["hidden_state_loss"][0])
    assert runs[0] == pytest.approx(runs[1], rel=1e-5)


def test_what_cannot_be_split_or_cut_is_said(teacher):
    data = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(4)
    with pytest.raises(ValueError, match=r"validation_split.* for arrays.*BatchDataset"):
        distiller(text_task(), teacher).fit(data, validation_split=0.25, verbose=0)
    plain = keras.Sequential([keras.Input((4,), dtype="int32"), keras.layers.Embedding(9, 3)])
    plain.add(keras.layers.GlobalAveragePooling1D())
    plain.add(keras.layers.Dense(3))
    before = teacher.predict(list(TEXTS), verbose=0)
    with pytest.raises(ValueError, match=r"student takes numbers.*was given strings"):
        distiller(plain, teacher).evaluate(TEXTS, LABELS, verbose=0)
    np.testing.assert_array_equal(teacher.predict(list(TEXTS), verbose=0), before)

"""Sentences give the same losses however far they are padded, and so does what is learned."""

import keras
import numpy as np
import pytest
from models_for_tests import EAGER, assert_same_weights, inferred, kd, log_softmax
from variants import first_of

from keras_kd import Distiller, TeacherCache
from keras_kd.features import Tap
from keras_kd.losses import HiddenStateLoss, KDLoss, LogitsMSELoss
from keras_kd.losses.formula.keras_mask import both_real
from keras_kd.models import bilstm_tagger, cnn_tagger

pytestmark = [pytest.mark.core, pytest.mark.alike]

TAGS, T, ALPHA = 4, 2.0, 0.3
RNG = np.random.default_rng(0)
SENTENCES = [RNG.integers(1, 20, size) for size in (3, 7, 1, 12)]
LABELS = [RNG.integers(0, TAGS, len(words)) for words in SENTENCES]


def rows(sequences, length, fill=0):
    found = np.full((len(sequences), length), fill, "int32")
    for row, values in zip(found, sequences, strict=True):
        row[: len(values)] = values
    return found


def unmasked(words, tags):
    """A tagger of single words that tells nobody which of them are padding."""
    inputs = keras.Input((None,), dtype="int32", name="words")
    x = keras.layers.Embedding(words["words"], 6)(inputs)
    return keras.Model(inputs, keras.layers.Dense(tags)(x))


def student(make):
    keras.utils.set_random_seed(3)
    small = {} if make is unmasked else {"width": 6, "dropout": 0.0}
    return make({"words": 20}, TAGS, **small)


@pytest.fixture(scope="module")
def teacher():
    keras.utils.set_random_seed(5)
    tagger = cnn_tagger({"words": 20}, TAGS, width=12, filters=16)
    kernel, bias = tagger.get_layer("logits").get_weights()
    tagger.get_layer("logits").set_weights([20.0 * kernel, bias])  # something to teach
    return tagger


def trained(make, data, teacher=None, kd_loss=None, loss=None):
    """A student and its logs after a step on all sentences."""
    model = Distiller(
        student(make), teacher, alpha=ALPHA, temperature=T, kd_loss=kd_loss or KDLoss()
    )
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss or plain, **EAGER)
    if isinstance(data, tuple):
        x, y, *weights = data
        logs = model.fit(
            x, y, sample_weight=weights[0] if weights else None, batch_size=4, verbose=0
        )
    else:
        logs = model.fit(data.batch(4), verbose=0)
    return model.student, logs.history


def assert_alike(runs):
    first, logs = runs[0]
    assert logs["kd_loss"][0] > 0.05
    assert logs["student_loss"][0] > 0.05
    for other, others_logs in runs[1:]:
        for name in ("loss", "student_loss", "kd_loss"):
            np.testing.assert_allclose(others_logs[name], logs[name], rtol=2e-5, err_msg=name)
        assert_same_weights(other, first, atol=1e-5)


def by_hand(model, teacher):
    """Both losses of each sentence alone, in float64: the mean over all words."""
    answers = [
        [np.asarray(inferred(each, words[None]), "float64")[0] for each in (teacher, model)]
        for words in SENTENCES
    ]
    theirs, ours = (np.concatenate(each) for each in zip(*answers, strict=True))
    picked = log_softmax(ours)[np.arange(len(ours)), np.concatenate(LABELS)]
    return kd(theirs, ours, T).mean(), -picked.mean()


@pytest.mark.slow
@pytest.mark.parametrize("make", [bilstm_tagger, cnn_tagger])
def test_the_mask_of_the_words_leaves_padding_out_live_and_from_the_cache(tmp_path, teacher, make):
    runs = []
    for length in (32, 128):
        x, y = rows(SENTENCES, length), rows(LABELS, length)  # padding has the label of a class
        runs.append(trained(make, (x, y), teacher))
        cache = TeacherCache(tmp_path / str(length), teacher, dtype="float32")
        runs.append(trained(make, cache.label((x, y))))
    assert_alike(runs)
    expected_kd, expected = by_hand(student(make), teacher)
    logs = runs[0][1]
    assert logs["kd_loss"][0] == pytest.approx(expected_kd, rel=1e-4)
    assert logs["student_loss"][0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_weights_of_words_leave_padding_out_where_the_mean_is_over_weights(tmp_path, teacher):
    reduction, runs = "mean_with_sample_weight", []
    losses = {
        "kd_loss": KDLoss(reduction=reduction),
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction),
    }
    for length in (32, 128):
        x, y = rows(SENTENCES, length), rows(LABELS, length)
        data = (x, y, (x > 0).astype("float32"))
        runs.append(trained(unmasked, data, teacher, **losses))
        cache = TeacherCache(tmp_path / str(length), teacher, dtype="float32")
        runs.append(trained(unmasked, cache.label(data), **losses))
    assert_alike(runs)
    logs = runs[0][1]
    assert logs["kd_loss"][0] == pytest.approx(by_hand(student(unmasked), teacher)[0], rel=1e-4)


@first_of("kd_loss", [KDLoss, LogitsMSELoss])
def test_a_label_that_is_no_class_leaves_padding_out(tmp_path, teacher, kd_loss):
    runs = []
    losses = {
        "kd_loss": kd_loss(ignore_class=-1),
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
    }
    for length in (32, 128):
        x, y = rows(SENTENCES, length), rows(LABELS, length, fill=-1)
        runs.append(trained(unmasked, (x, y), teacher, **losses))
        cache = TeacherCache(tmp_path / str(length), teacher, dtype="float32")
        runs.append(trained(unmasked, cache.label((x, y)), **losses))
    assert_alike(runs)
    if kd_loss is KDLoss:
        expected = by_hand(student(unmasked), teacher)[0]
        assert runs[0][1]["kd_loss"][0] == pytest.approx(expected, rel=1e-4)


@first_of("who", ["teacher", "student"])
def test_what_one_model_alone_masks_counts_for_nothing(teacher, who, tmp_path):
    # The same numbers, with a mask and without.
    keras.utils.set_random_seed(4)
    learner = cnn_tagger({"words": 20}, TAGS, width=6, dropout=0.0)
    masked, bare = {"teacher": (teacher, learner), "student": (learner, teacher)}[who]
    words = rows(SENTENCES, 16)
    hears = _without_mask(bare)
    feature = HiddenStateLoss(layers={"logits": "logits"}, weight=1.0)
    pair = (hears, masked) if who == "teacher" else (masked, hears)
    kd_loss = KDLoss(teacher_from_logits=True, student_from_logits=True)
    model = Distiller(*pair, alpha=0.0, temperature=T, kd_loss=kd_loss, feature_losses=[feature])
    model.compile(keras.optimizers.SGD(0.0), **EAGER)
    logs = model.fit(words, batch_size=4, verbose=0).history
    real = words > 0
    ours, theirs = (np.asarray(inferred(each, words), "float64")[real] for each in pair)
    assert logs["kd_loss"][0] == pytest.approx(kd(theirs, ours, T).mean(), rel=1e-4)
    # A mean of each sentence's words, then of the sentences.
    squares = np.split(np.square(theirs - ours).mean(-1), np.cumsum(real.sum(1))[:-1])
    expected = np.mean([each.mean() for each in squares])
    assert logs["hidden_state_loss"][0] == pytest.approx(expected, rel=1e-4)
    told = HiddenStateLoss(layers={"logits": Tap("logits", shape=(None, None, TAGS))}, weight=1.0)
    for top_k in (None, TAGS):  # the teacher's mask travels with its answers
        settings = {"dtype": "float32", "layers": ["logits"], "top_k": top_k}
        cache = TeacherCache(tmp_path / str(top_k), pair[1], **settings)
        model = Distiller(pair[0], alpha=0.0, temperature=T, kd_loss=kd_loss, feature_losses=[told])
        model.compile(keras.optimizers.SGD(0.0), **EAGER)
        carried = model.fit(cache.label(words).batch(4), verbose=0).history
        for name in ("kd_loss", "hidden_state_loss"):
            assert carried[name][0] == pytest.approx(logs[name][0], rel=1e-4), name


def _without_mask(model):
    """The same model, whose outputs tell nobody which words are padding."""
    inputs = keras.Input((None,), dtype="int32", name="words")
    return keras.Model(inputs, _Bare(name="logits")(model(inputs)))


@keras.saving.register_keras_serializable(package="tests")
class _Bare(keras.layers.Layer):
    """Hands on the values and no mask."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x):
        return x + 0.0

    def compute_mask(self, inputs, mask=None):
        return None


def test_masks_of_other_positions_are_an_error():
    with pytest.raises(ValueError, match=r"mask other positions.*\(2, 3\).*\(2, 5\)"):
        both_real(np.ones((2, 3), "bool"), np.ones((2, 5), "bool"))

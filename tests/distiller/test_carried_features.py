"""A teacher's values that travel with the data teach what the teacher itself would."""

import functools

import keras
import numpy as np
import pytest
from carrying import assert_same_run, carried, fit, make, nets, taps_of, with_shapes
from variants import first_of

from keras_kd import losses
from keras_kd.distiller.carried_features import CarriedFeatures
from keras_kd.features import Tap
from keras_kd.losses.response_loss import ResponseLoss

pytestmark = pytest.mark.core

POOL = {"layers": {"pool": "pool"}}
MAP = {"layers": {"stage2": "stage2"}}
STAGES = {"layers": {"stage1": "stage1", "stage2": "stage2"}}
ATTENTION = {"layers": {"attention2": "attention2"}}
BEFORE_RELU = {"layers": {Tap("stage2", side="input"): Tap("stage2", side="input")}}
ARGUMENTS = {
    "ABLoss": BEFORE_RELU,
    "ATLoss": STAGES,
    "AttentionLoss": ATTENTION,
    "CCLoss": POOL,
    "CRDLoss": {"size": 16, "negatives": 5, "dim": 4, **POOL},
    "ConcatFeatureLoss": STAGES,
    "CosineFeatureLoss": MAP,
    "CWDLoss": MAP,
    "FitNetLoss": MAP,
    "FSPLoss": STAGES,
    "FTLoss": POOL,
    "HiddenStateLoss": {"layers": {"tokens1": "tokens2"}},
    "ICKDLoss": MAP,
    "MiniLMLoss": ATTENTION,
    "NSTLoss": {"layers": {"stage1": "stage1"}},
    "OFDLoss": BEFORE_RELU,
    "PKDLoss": POOL,
    "PKTLoss": POOL,
    "RKDLoss": POOL,
    "RegressionLoss": {"layers": {"logits": "logits"}},
    "ReviewKDLoss": STAGES,
    "SPLoss": MAP,
    "SimKDLoss": MAP,
    "VIDLoss": MAP,
    "DKDLoss": {"layers": {"logits": "logits"}},
}
# One of each kind: two pairs, an index and state of its own, a projector, vectors of attention,
# relations between samples, a joint formula with weights.
REPRESENTATIVE = {"ATLoss", "CRDLoss", "FitNetLoss", "MiniLMLoss", "RKDLoss", "ReviewKDLoss"}
OF_TOKENS = {"AttentionLoss", "HiddenStateLoss", "MiniLMLoss"}
# Together in one Distiller; `make test-all` trains with each of all losses alone.
ALONE = [pytest.param([name], id=name, marks=pytest.mark.slow) for name in ARGUMENTS]
TOGETHER = [
    pytest.param(sorted(REPRESENTATIVE - OF_TOKENS), id="of maps and vectors"),
    pytest.param(sorted(OF_TOKENS), id="of tokens", marks=pytest.mark.alike),
]


def test_every_feature_loss_is_compared_below():
    inside = {
        name
        for name in losses.__all__
        if not issubclass(getattr(losses, name), ResponseLoss)
        and getattr(losses, name).side != "input_gradient"
    }
    bases, needs_real_labels = {"DistillationLoss", "BatchLoss"}, {"BoundedRegressionLoss"}
    assert inside == set(ARGUMENTS) - {"DKDLoss"} | needs_real_labels | bases


def weighing_little(name):
    """A loss of a weight of at most 1: published ones multiply rounding errors by up to 1e5."""
    make_loss = functools.partial(getattr(losses, name), **ARGUMENTS[name])
    return make_loss(weight=min(make_loss().weight, 1.0))


@pytest.mark.parametrize("names", [*TOGETHER, *ALONE])
def test_carried_values_teach_what_the_teacher_does(names):
    kind = "attending" if OF_TOKENS.issuperset(names) else "convolutional"
    student, teacher = nets(kind)
    x, y = carried(teacher, [tap for name in names for tap in taps_of(weighing_little(name))])
    live = make(student, teacher, [weighing_little(name) for name in names])
    expected = fit(live, {"inputs": x["inputs"], "index": x["index"]}, y)
    told = make(nets(kind)[0], None, [weighing_little(name) for name in names])
    history = fit(told, x, y)
    # Several losses are summed in another order, in another trace.
    assert_same_run(live, told, expected, history, atol=1e-6 * len(names))
    for name in names:
        first, *_, last = expected[weighing_little(name).name]
        assert first != last


@pytest.mark.alike
@first_of("name", ["FitNetLoss", "MiniLMLoss"])
def test_shapes_that_are_given_make_the_same_run_as_those_read_off_the_data(name):
    kind = "attending" if name in OF_TOKENS else "convolutional"
    loss = getattr(losses, name)(**ARGUMENTS[name])
    x, y = carried(nets(kind)[1], taps_of(loss))
    read = make(nets(kind)[0], None, loss)
    assert not read.feature_terms
    history = fit(read, x, y)
    given = make(nets(kind)[0], None, with_shapes(loss, x))
    assert len(given.feature_terms) == 1
    assert_same_run(read, given, history, fit(given, x, y), atol=0.0)
    assert read.get_config()["feature_losses"] == given.get_config()["feature_losses"]


def test_validation_with_carried_values_reports_what_a_live_teacher_does():
    loss = losses.FitNetLoss(**MAP)
    student, teacher = nets()
    x, y = carried(teacher, taps_of(loss))
    live = make(student, teacher, loss, validate_with_teacher=True)
    told = make(nets()[0], None, loss, validate_with_teacher=True)
    found = [
        model.evaluate(data, y, batch_size=8, return_dict=True, verbose=0)
        for model, data in ((live, x["inputs"]), (told, x))
    ]
    assert found[0].keys() == found[1].keys() == {"loss", "student_loss", "kd_loss", loss.name}
    for key, value in found[0].items():
        assert found[1][key] == pytest.approx(value, rel=1e-5), key


@pytest.mark.alike
def test_features_alone_need_no_outputs():
    loss = losses.FitNetLoss(**MAP)
    student, teacher = nets()
    x, y = carried(teacher, taps_of(loss), index=False)
    live = make(student, teacher, loss, kd_loss=None)
    told = make(nets()[0], None, loss, kd_loss=None)
    expected = fit(live, x["inputs"], y, batch_size=8)
    del x["teacher_outputs"]
    assert_same_run(live, told, expected, fit(told, x, y))


@pytest.mark.alike
def test_margins_that_were_taken_from_the_teacher_are_those_that_a_live_one_gives():
    student, teacher = nets()
    norm = teacher.get_layer("pre2")
    norm.beta.assign(np.linspace(-1.0, 1.0, 10))
    layers = {"pre2": "pre2"}
    x, y = carried(teacher, [Tap("pre2")], index=False)
    margins = losses.OFDLoss.margins_of(norm)
    live = make(student, teacher, losses.OFDLoss(layers=layers))
    told = make(nets()[0], None, losses.OFDLoss(margins, layers=layers))
    assert_same_run(live, told, fit(live, x["inputs"], y, batch_size=8), fit(told, x, y))


@pytest.mark.alike
def test_margins_of_a_layer_that_is_not_there_must_be_given():
    x, y = carried(nets()[1], [Tap("pre2")])
    told = make(nets()[0], None, losses.OFDLoss(layers={"pre2": "pre2"}))
    with pytest.raises(ValueError, match=r"margins_of.*margin='batch'.*Received: margin=None"):
        fit(told, x, y)
    batch = losses.OFDLoss("batch", layers={"pre2": "pre2"})
    assert np.isfinite(fit(make(nets()[0], None, batch), x, y)["ofd_loss"]).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of the TensorFlow backend")
@first_of("how", [{"steps_per_execution": 2}, {"jit_compile": True}])
def test_a_compiled_step_reads_them_too(how):
    loss = losses.FitNetLoss(**MAP)
    x, y = carried(nets()[1], taps_of(loss))
    runs = []
    for compiled in ({"run_eagerly": True}, how):
        model = make(nets()[0], None, loss)
        model.compile(model.optimizer, model.loss, **compiled)
        runs.append((model, fit(model, x, y)))
    (one, history), (other, other_history) = runs
    assert_same_run(one, other, history, other_history)


def test_a_value_is_found_by_its_key_and_has_the_shape_of_its_tap():
    values = {"stage1": np.zeros((2, 3)), "conv:input#1": np.ones((2, 4))}
    features = CarriedFeatures(values)
    assert features.value(None, Tap("conv", "input", 1)) is values["conv:input#1"]
    assert features.shape(Tap("stage1")) == (None, 3)
    assert features.value(None, Tap("stage1", shape=(None, None))) is values["stage1"]
    with pytest.raises(ValueError, match=r"key='stage'. Did you mean 'stage1'\? Available: \['con"):
        features.value(None, Tap("stage"))
    with pytest.raises(ValueError, match=r"shape=\(None, 5\)\), in the data: shape=\(None, 3\)"):
        features.value(None, Tap("stage1", shape=(None, 5)))
    with pytest.raises(ValueError, match=r"in the data: shape=\(None, 3\)"):
        features.check(Tap("stage1", shape=(None, 3, 3)))


def test_vectors_of_attention_are_a_dict_of_the_three():
    vectors = {name: np.zeros((2, 5, 1, 4)) for name in ("query", "key", "value")}
    features = CarriedFeatures(
        {"a:attention_vectors": vectors, "b:attention_vectors": vectors["key"]}
    )
    shape = dict.fromkeys(vectors, (None, 5, 1, 4))
    tap = Tap("a", "attention_vectors")
    assert features.shape(tap) == shape
    features.check(Tap("a", "attention_vectors", shape=shape))
    for wrong in ({**shape, "key": (None, 6, 1, 4)}, {**shape, "key": (None, 5, 4)}):
        with pytest.raises(ValueError, match="another shape"):
            features.check(Tap("a", "attention_vectors", shape=wrong))
    with pytest.raises(ValueError, match="another shape"):
        features.check(Tap("b", "attention_vectors", shape=shape))

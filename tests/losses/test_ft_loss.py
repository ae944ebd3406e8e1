import keras
import numpy as np
import pytest
from contract import LossContract
from every_loss import assert_formula, draw, in_both_dtypes, make_parts, run, two_seeds
from formulas import per_sample
from gradients import gradient
from models_for_tests import cross_entropy
from nets_for_losses import digits, student_net, teacher_net
from networks import row, shake

from keras_kd import Distiller
from keras_kd.callbacks import AlphaScheduler, LossWeightScheduler
from keras_kd.losses import FTLoss

pytestmark = pytest.mark.core
TRANSFER = {"transfer": 1.0, "reconstruction": 0.0}
RECONSTRUCTION = {"transfer": 0.0, "reconstruction": 1.0}


def unit(factor):
    return factor / np.linalg.norm(factor.reshape(len(factor), -1), axis=1).reshape(
        -1, *[1] * (factor.ndim - 1)
    )


def transfer(teacher, student, part, p):
    """Kim et al., eq. 2: |f_t / |f_t|_2 - f_s / |f_s|_2|_p, as the mean of its terms."""
    factors = unit(row(part.encoder, teacher)), unit(row(part.translator, student))
    return per_sample(np.abs(factors[0] - factors[1]) ** p)


def reconstruction(teacher, part):
    """Kim et al., eq. 1: |x - P(x)|^2, likewise."""
    return per_sample((teacher - row(part.decoder, row(part.encoder, teacher))) ** 2)


def with_part(loss, teacher, student):
    run(loss, teacher, student)
    return shake(loss._alone.parts[0])


def draw_pair(shape, width, seed=0):
    return draw(shape, seed)[0], draw((*shape[:-1], width), seed)[1]


class TestFTLoss(LossContract):
    make = FTLoss
    layers = {"pool": "pool"}
    equal_is_zero = False

    def values(self, seed=0):
        return draw_pair((2, 2, 2, 2), 2, seed)


@in_both_dtypes
@two_seeds
@pytest.mark.parametrize(
    ("shape", "p"),
    [
        ((2, 3, 4, 5), 1.0),
        ((3, 4, 4), 2.0),
        ((4, 6), 1.0),
        pytest.param((2, 3, 4, 5), 2.0, marks=pytest.mark.slow),
        pytest.param((3, 4, 4), 1.0, marks=pytest.mark.slow),
        pytest.param((4, 6), 2.0, marks=pytest.mark.slow),
    ],
    ids=str,
)
@pytest.mark.alike
def test_ft_loss_is_the_papers_formulas(shape, p, seed, dtype):
    teacher, student = draw_pair(shape, 3, seed)
    loss = FTLoss(p=p, dtype=dtype, reduction=None)
    part = with_part(loss, teacher, student)
    distance, error = transfer(teacher, student, part, p), reconstruction(teacher, part)
    for expected, stages in (
        (distance, TRANSFER),
        (error, RECONSTRUCTION),
        (distance + error, None),
    ):
        scale = {"rounding": error.max()}
        assert_formula(loss, expected, teacher, student, **scale, part=part, stages=stages)


@pytest.mark.parametrize(("rate", "width"), [(0.5, 3), (0.75, 4), (2.0, 12), (0.01, 1)])
@pytest.mark.alike
def test_the_factor_has_a_part_of_the_teachers_width(rate, width):
    part = FTLoss(rate).make_part((None, 4, 4, 6), (None, 4, 4, 3))
    assert part.encoder.output_width == part.translator.output_width == width
    assert part.decoder.output_width == 6


@pytest.mark.alike
def test_ft_loss_by_hand_of_factors_that_look_elsewhere():
    # Convolutions that hand one channel on: unit factors (1, 0) and (0, 1), mean of |1|, |-1|.
    teacher, student = np.zeros((1, 1, 2, 1)), np.zeros((1, 1, 2, 1))
    teacher[0, 0, 0], student[0, 0, 1] = 3.0, 5.0
    loss = FTLoss(rate=1.0)
    run(loss, teacher, student)
    for weight in loss._alone.parts[0].weights:
        if weight.name == "kernel":
            kernel = np.zeros(weight.shape)
            kernel[1, 1] = 1.0
            weight.assign(kernel)
    assert run(loss, teacher, student, stages=TRANSFER) == pytest.approx(1.0, rel=1e-5)
    # P divides by sqrt(1.001) six times: the values come back, nearly.
    error = (3.0 * (1.0 - 1.001**-3)) ** 2 / 2.0
    assert run(loss, teacher, student, stages=RECONSTRUCTION) == pytest.approx(error, rel=1e-3)


@pytest.mark.alike
def test_the_transfer_does_not_teach_the_paraphraser_nor_the_reconstruction_the_student():
    teacher, student = draw_pair((2, 2, 2, 4), 3)
    loss = FTLoss()
    run(loss, teacher, student)
    slope = gradient(lambda z: loss(teacher, z, stages=RECONSTRUCTION), student, "float32")
    assert not slope.any()
    assert gradient(lambda z: loss(teacher, z, stages=TRANSFER), student, "float32").any()


def test_ft_loss_of_dead_maps_is_finite_with_a_finite_gradient():
    teacher, student = draw_pair((1, 2, 2, 4), 3)
    loss = FTLoss()
    make_parts(loss, teacher, student)
    teacher, student = (np.concatenate(two) for two in ((teacher, 0.0 * teacher), [student] * 2))
    assert np.isfinite(gradient(lambda z: loss(teacher, z), 0.0 * student, "float32")).all()


@pytest.mark.parametrize(
    ("shape", "training"),
    [
        ((2, 4, 4), False),
        ((2, 4, 3, 4), True),
        pytest.param((2, 4, 3, 4), False, marks=pytest.mark.slow),
        pytest.param((2, 4, 4), True, marks=pytest.mark.slow),
    ],
    ids=str,
)
@pytest.mark.alike
def test_ft_loss_leaves_padding_out(shape, training):
    teacher, student = draw_pair(shape, 3)
    loss = FTLoss(reduction=None)
    mask = np.zeros(shape[:-1], bool)
    mask[:, :2] = True
    values = []
    for length in (2, 3, 4):
        part = with_part(loss, teacher, student)  # the statistics as they were
        values.append(
            run(
                loss,
                *(value[:, :length] for value in (teacher, student)),
                mask=mask[:, :length],
                part=part,
                training=training,
            )
        )
    np.testing.assert_allclose(values[1:], [values[0]] * 2, rtol=1e-5)
    nothing = run(loss, teacher, student, mask=np.zeros(shape[:-1], bool), training=training)
    np.testing.assert_array_equal(nothing, np.zeros(2))


@pytest.mark.alike
def test_the_papers_two_stages_in_one_fit():
    keras.utils.set_random_seed(0)
    loss = FTLoss(layers={"stage2": "stage2"})
    distiller = Distiller(student_net(), teacher_net(), feature_losses=[loss])
    distiller.compile(keras.optimizers.SGD(1e-3), cross_entropy(), jit_compile=False)
    (part,) = distiller.feature_terms[0].parts
    seen = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            parts = (distiller.student.trainable_variables, part.translator.trainable_variables)
            parts = (*parts, part.encoder.weights + part.decoder.weights)
            seen.append([[w.numpy() for w in each] for each in parts])

        on_train_end = on_epoch_begin

    callbacks = [
        LossWeightScheduler("ft_loss/transfer", lambda epoch, weight: float(epoch >= 1)),
        LossWeightScheduler("ft_loss/reconstruction", lambda epoch, weight: float(epoch < 1)),
        LossWeightScheduler("kd_loss", lambda epoch, weight: float(epoch >= 1)),
        AlphaScheduler(lambda epoch, alpha: 0.0 if epoch < 1 else 0.1),
    ]
    history = distiller.fit(
        *digits(64), batch_size=32, epochs=2, verbose=0, callbacks=[*callbacks, Keep()]
    )
    assert np.isfinite(history.history["loss"]).all()
    moved = [
        [
            max(np.abs(a - b).max() for a, b in zip(before, after, strict=True))
            for before, after in zip(seen[epoch], seen[epoch + 1], strict=True)
        ]
        for epoch in (0, 1)
    ]
    # Student, translator, paraphraser (with its moving statistics).
    assert moved[0][:2] == [0.0, 0.0] and moved[0][2] > 0.0
    assert min(moved[1][:2]) > 0.0 and moved[1][2] == 0.0


@pytest.mark.alike
def test_ft_loss_refuses_other_positions():
    with pytest.raises(ValueError, match=r"same positions.*Received: teacher=\(2, 4, 4, 8\)"):
        FTLoss()(np.ones((2, 4, 4, 8)), np.ones((2, 2, 2, 8)))


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": -1.0}, {"p": 0.5}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be .* Received: "):
        FTLoss(**wrong)


def test_ft_loss_arguments_come_back():
    copy = FTLoss.from_config(FTLoss(0.25, 2.0).get_config())
    assert (copy.rate, copy.p, copy.weight) == (0.25, 2.0, 500.0)

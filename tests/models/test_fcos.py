import keras
import numpy as np
import pytest
from models_for_tests import EAGER, inferred

from keras_kd import Distiller
from keras_kd.data import location_targets, locations
from keras_kd.losses import BoundedRegressionLoss, FitNetLoss, QualityFocalLoss
from keras_kd.models import fcos

SHAPE = (32, 48, 3)
PLACES = 4 * 6 + 2 * 3


def test_it_answers_at_every_location_of_two_levels():
    model = fcos(SHAPE, 3, width=4, pyramid_width=8)
    shapes = {name: tuple(output.shape) for name, output in model.output.items()}
    assert shapes == {"classes": (None, PLACES, 3), "boxes": (None, PLACES, 4)}
    assert set(model.output_names) == {"boxes", "classes"}
    assert len(locations(SHAPE[:2], (8, 16))[0]) == PLACES
    assert model.get_layer("p3").output.shape[1:] == (4, 6, 8)
    assert model.get_layer("p4").output.shape[1:] == (2, 3, 8)


def test_before_training_nearly_every_place_is_background():
    model = fcos(SHAPE, 3, width=4, pyramid_width=8)
    x = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype("float32")
    scores = keras.ops.convert_to_numpy(keras.ops.sigmoid(model(x)["classes"]))
    np.testing.assert_allclose(scores.mean(), 0.01, rtol=0.2)


def test_an_answer_is_where_its_location_is():
    """What changes in a corner of the image changes the answers there."""
    keras.utils.set_random_seed(0)
    model = fcos((96, 160, 3), 2, width=4, pyramid_width=8)
    dark, spot = np.zeros((1, 96, 160, 3), "float32"), np.zeros((1, 96, 160, 3), "float32")
    spot[0, 88:, 152:] = 255.0
    change = [model(x)["boxes"] for x in (dark, spot)]
    moved = np.abs(keras.ops.convert_to_numpy(change[1] - change[0])[0]).sum(axis=1)
    centres, strides = locations((96, 160), (8, 16))
    for stride in (8.0, 16.0):
        of_level = strides == stride
        place = centres[of_level][moved[of_level].argmax()]
        assert (np.abs(place - [92, 156]) < 40).all()


@pytest.mark.slow
def test_it_distils_with_a_loss_for_each_output_or_for_one():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (4, *SHAPE)).astype("float32")
    box = np.array([[0.2, 0.2, 0.7, 0.6]], "float32")
    parts = location_targets(box, np.array([1]), SHAPE[:2], num_classes=3)
    y, weights = ({k: np.stack([v.numpy()] * 4) for k, v in part.items()} for part in parts)
    found = {}
    for name, kd_loss in {
        "both": {"classes": QualityFocalLoss(), "boxes": BoundedRegressionLoss()},
        "classes": {"classes": QualityFocalLoss(), "boxes": None},
        "boxes": {"classes": None, "boxes": BoundedRegressionLoss()},
    }.items():
        keras.utils.set_random_seed(0)
        student = fcos(SHAPE, 3, width=2, pyramid_width=4)
        teacher = fcos(SHAPE, 3, width=4, pyramid_width=8)
        distiller = Distiller(
            student,
            teacher,
            kd_loss=kd_loss,
            feature_losses=[FitNetLoss(layers={"p3": "p3", "p4": "p4"})],
            validate_with_teacher=True,
        )
        distiller.compile(
            "adam",
            {
                "classes": keras.losses.BinaryFocalCrossentropy(from_logits=True),
                "boxes": keras.losses.MeanSquaredError(),
            },
            **EAGER,
        )
        logs = distiller.evaluate(x, y, sample_weight=weights, return_dict=True, verbose=0)
        found[name] = logs["kd_loss"]
        if name == "boxes":  # by hand, over the locations that answer for the box
            z_t, z_s = (inferred(model, x)["boxes"] for model in (teacher, student))
            errors = [((z - y["boxes"]) ** 2).sum(axis=-1) for z in (z_t, z_s)]
            bounded = np.where(errors[1] > errors[0], errors[1], 0.0) * weights["boxes"]
            assert logs["kd_loss"] == pytest.approx(bounded.mean(), rel=1e-4)
        history = distiller.fit(x, y, sample_weight=weights, verbose=0).history
        assert history["fit_net_loss"][0] > 0.0
    assert found["both"] == pytest.approx(found["classes"] + found["boxes"], rel=1e-5)


@pytest.mark.parametrize("shape", [(32, 48), (32, 40, 3), (24, 48, 3)])
def test_impossible_images_are_refused(shape):
    with pytest.raises(ValueError, match=r"multiples of 16. Received: input_shape="):
        fcos(shape, 3)

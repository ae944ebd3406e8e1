"""`keras.config.set_floatx` decides what models compute in, and Distillers run under all of it."""

import keras
import numpy as np
import pytest
from models_for_tests import distiller, examples, inferred, kd, net

from keras_kd.losses import FitNetLoss, RKDLoss

pytestmark = pytest.mark.core


ALIKE = [pytest.param(dtype, marks=pytest.mark.alike) for dtype in ("float64", "bfloat16")]


@pytest.fixture(params=["float16", *ALIKE])
def floatx(request):
    # In a new process layers follow it; here the policy has been read.
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@pytest.mark.filterwarnings("ignore:.*float64.*:UserWarning")  # JAX has it where it is enabled
def test_a_distiller_trains_and_evaluates(floatx):
    x, y = examples()
    teacher = net(8, seed=1)
    features = [FitNetLoss(layers={"hidden": "hidden"}), RKDLoss(layers={"hidden": "hidden"})]
    regularized = net(kernel_regularizer=keras.regularizers.L2(0.01))
    model = distiller(
        regularized, teacher, feature_losses=features, alpha=0.5, validate_with_teacher=True
    )
    answers = [inferred(each, x).astype("float64") for each in (teacher, model.student)]
    logs = model.evaluate(x, y, sample_weight=np.ones(len(x)), verbose=0, return_dict=True)
    # The largest of these units is bfloat16's, 1/256, of logits about 1.
    assert float(logs["kd_loss"]) == pytest.approx(kd(*answers, 4.0).mean(), rel=2e-2)
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert np.isfinite(np.asarray(history["loss"], "float64")).all()

"""Whatever accelerates the step: the same training."""

import every_loss
import keras
import numpy as np
import pytest
from keras import layers
from models_for_tests import (
    assert_same_weights,
    distiller,
    examples,
    net,
    numbers,
)
from training_runs import HINT, assert_same_training, core, reference, trained
from variants import first_of, ways_to_run

from keras_kd import losses
from keras_kd.losses import FitNetLoss

# What accelerates the step

WAYS = ways_to_run({"steps_per_execution": 3}, {"jit_compile": True})
# Step by step JAX walks what it compiles, operation by operation, and takes long.
STEP_BY_STEP = [{"run_eagerly": True}, {"jit_compile": False}]
WAYS = [*WAYS, *(pytest.param(way, marks=pytest.mark.alike) for way in STEP_BY_STEP)]


@core
@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_the_training_is_the_same_however_the_step_runs(way):
    # Another order of float32 sums: a few units in the last place a step.
    assert_same_training(reference(), trained(examples(12), batch_size=5, compiled=way))


@core
def test_a_step_of_two_accumulated_batches_is_that_of_one_of_their_size():
    x, y = examples(8)
    once = trained((x, y), batch_size=8, epochs=1)[0]
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    twice = trained((x, y), batch_size=4, epochs=1, compiled={"optimizer": optimizer})[0]
    assert_same_weights(once, twice)


OUTPUT_LOSSES = {
    "KDLoss": {},
    "SoftCrossEntropyLoss": {},
    "LogitsMSELoss": {},
    "HardLabelLoss": {},
    "BinaryKDLoss": {},
    "RegressionLoss": {},
    "BoundedRegressionLoss": {"loss": "mse"},
}
FEATURE_LOSSES = ["ATLoss", "CosineFeatureLoss", "FitNetLoss"]


def image_net(size, width, seed):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((size, size, 1))
    channels_last = {"data_format": "channels_last"}
    maps = layers.Conv2D(width, 3, name="maps", **channels_last)(inputs)
    pooled = layers.GlobalAveragePooling2D(**channels_last)(maps)
    return keras.Model(inputs, layers.Dense(3)(pooled))


def test_every_loss_of_any_values_is_compiled_under_xla_below():
    # The other losses are compiled by the contract that their tests inherit.
    assert {*every_loss.NAMES} == {*OUTPUT_LOSSES, *FEATURE_LOSSES}


# The training above compiles KDLoss and FitNetLoss so.
@pytest.mark.slow
@core
@pytest.mark.parametrize("name", [*OUTPUT_LOSSES, *FEATURE_LOSSES])
def test_every_loss_compiles_under_xla_and_gives_what_it_gives_eagerly(name):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 6, 6, 1)).astype("float32"), rng.integers(0, 3, 8)
    compiled = dict(OUTPUT_LOSSES.get(name, {}))
    if compiled:
        y = np.eye(3, dtype="float32")[y]
    runs = []
    for how in ({"jit_compile": True}, {"run_eagerly": True}):
        student = image_net(6, 2, 0)
        loss = getattr(losses, name)
        if name in FEATURE_LOSSES:  # of another width
            arguments = {"feature_losses": [loss(layers={"maps": "maps"}, weight=1.0)]}
        else:
            arguments = {"kd_loss": loss()}
        model = distiller(student, image_net(6, 4, 1), compiled={**compiled, **how}, **arguments)
        history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        runs.append((student, history))
    assert_same_training(*runs, rtol=1e-4)


@core
@first_of("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_nearly_as_float32_does(policy):
    def half():
        return net(dtype=keras.DTypePolicy(policy))

    mixed = trained(examples(12), batch_size=5, make=half)
    # bfloat16 keeps 8 bits, float16 11: the losses agree to about that.
    rtol = 2e-2 if policy == "mixed_bfloat16" else 5e-3
    for name in ("loss", "student_loss", "kd_loss", "fit_net_loss"):
        np.testing.assert_allclose(mixed[1][name], reference()[1][name], rtol=rtol, atol=1e-3)
    for a, b in zip(numbers(mixed[0]), numbers(reference()[0]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-2)
    assert all(weight.dtype == "float32" for weight in mixed[0].weights)


@core
def test_a_mixed_float16_student_gets_loss_scaling_as_plain_keras_gives_it():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        student, teacher = net(), net(9, seed=1)
    finally:
        keras.config.set_dtype_policy(before)
    model = distiller(student, teacher)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert np.isfinite(model.fit(*examples(8), verbose=0).history["loss"][0])
    assert float(model.alpha) == pytest.approx(0.1, abs=1e-8)  # not rounded to half precision


@core
def test_the_global_policy_leaves_float32_models_alone():
    x, y = examples(12)
    before = keras.config.dtype_policy()
    student, teacher = net(), net(9, seed=1)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = distiller(
            student, teacher, alpha=0.3, feature_losses=[FitNetLoss(layers=HINT, weight=0.5)]
        )
        history = model.fit(x, y, batch_size=5, epochs=2, verbose=0, shuffle=False).history
    finally:
        keras.config.set_dtype_policy(before)
    assert_same_training((student, history), reference())

"""Tasks with preprocessors where several models train, or answer, on one batch."""

import keras
import numpy as np
import pytest
from models_for_tests import EAGER
from sklearn.linear_model import LogisticRegression
from variants import first_of

from keras_kd import Distiller
from keras_kd.schemes import JointEnsemble, MutualDistiller, SelfDistiller, assistant_chain
from keras_kd.teachers import MovingAverage, PerOutput, Stacked

pytestmark = [pytest.mark.core, pytest.mark.alike]
RAW = np.random.default_rng(0).integers(0, 256, (8, 4)).astype("float32")
LABELS = np.arange(8) % 2
COMPILED = {
    "optimizer": "sgd",
    "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    **EAGER,
}


def scaled(x):
    return keras.tree.map_structure(lambda values: values / 255.0, x)


@keras.saving.register_keras_serializable(package="tests")
class Task(keras.Sequential):
    """A model that brings a preprocessor in KerasHub's way."""

    preprocessor = None

    def preprocess_samples(self, x, y=None, sample_weight=None):
        return keras.utils.pack_x_y_sample_weight(self.preprocessor(x), y, sample_weight)


def task(name, seed=0, preprocessor=scaled):
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((4,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(2)]
    made = Task(layers, name=name)
    made.preprocessor = preprocessor
    return made


def densely(*models, x=RAW):
    """A chain in which every larger model teaches; returns its smallest."""
    settings = {"densely": True, "compile": COMPILED, "verbose": 0, "shuffle": False}
    return assistant_chain(models, x, LABELS, **settings).student


def trained(make):
    """What trains a model that `make` makes of two, and returns what `model(x)` gives then."""

    def train(*models, x):
        model = make(*models)
        model.compile(**COMPILED)
        model.fit(x, LABELS, shuffle=False, verbose=0)
        return model

    return train


ALIKE = {
    "joint": trained(lambda one, two: JointEnsemble([one, two])),
    "mutual": trained(lambda one, two: MutualDistiller([one, two])),
    "moving average": trained(lambda one, two: Distiller(one, MovingAverage(one))),
    "densely": lambda one, two, x: densely(task("zero", 2, one.preprocessor), one, two, x=x),
}


@pytest.mark.filterwarnings("ignore:.*no smaller.*")
@first_of("how", ALIKE)
def test_models_of_one_preprocessor_train_on_raw_data_as_on_ready_data(how):
    found = ALIKE[how](task("one"), task("two", 1), x=RAW)
    ready = ALIKE[how](task("one", 0, None), task("two", 1, None), x=RAW / 255.0)
    before = keras.tree.flatten(ready.predict(RAW / 255.0, verbose=0))
    x = RAW / 255.0 if how == "densely" else RAW  # an ordinary model's `predict` is Keras' own
    for ours, theirs in zip(keras.tree.flatten(found.predict(x, verbose=0)), before, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    "made",
    [
        lambda one, two: MutualDistiller([one, two]),
        lambda one, two: JointEnsemble([one, two]),
        lambda one, two: PerOutput({"cls": one, "kind": two}),
        lambda one, two: densely(one, two, task("three")),
        lambda one, two: SelfDistiller(one, exits=["hidden"]),
        lambda one, two: Stacked([one, two], LogisticRegression()),
    ],
    ids=["mutual", "joint", "per output", "densely", "self", "stacked"],
)
def test_a_preprocessor_that_would_not_run_is_told_of(made):
    models = task("one"), task("two", preprocessor=lambda x: x)
    with pytest.raises(ValueError, match=r"preprocessor = None.*Received: .*'one' with a function"):
        made(*models)

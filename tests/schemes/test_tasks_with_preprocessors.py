"""What does not run a task's preprocessor says so before it trains on what was not preprocessed."""

import keras
import pytest
from sklearn.linear_model import LogisticRegression

from keras_kd.schemes import JointEnsemble, MutualDistiller, SelfDistiller, assistant_chain
from keras_kd.teachers import MovingAverage, PerOutput, Stacked

pytestmark = [pytest.mark.core, pytest.mark.alike]


class Task(keras.Sequential):
    """A model that brings a preprocessor in KerasHub's way."""

    preprocessor = keras.layers.Rescaling(1 / 255)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        return self.preprocessor(x)


def task(name):
    layers = [keras.Input((4,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(2)]
    return Task(layers, name=name)


def densely(*models):
    """A chain in which every larger model teaches."""
    return assistant_chain(models, [[0.0] * 4], [0], compile={"loss": "mse"}, densely=True)


@pytest.mark.parametrize(
    "made",
    [
        lambda model: MutualDistiller([model, task("other")]),
        lambda model: SelfDistiller(model, exits=["hidden"]),
        lambda model: JointEnsemble([model, task("other")]),
        lambda model: PerOutput({"cls": model}),
        lambda model: Stacked([model, task("other")], LogisticRegression()),
        lambda model: densely(model, task("other")),
        MovingAverage,
    ],
    ids=["mutual", "self", "joint", "per output", "stacked", "densely", "moving average"],
)
def test_a_preprocessor_that_would_not_run_is_told_of(made):
    with pytest.raises(ValueError, match=r"preprocessor = None.* Received: 'one' with a Rescaling"):
        made(task("one"))

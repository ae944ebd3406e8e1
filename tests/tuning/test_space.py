"""How a space is described, and what becomes of it."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from keras_kd.tuning.settings import Settings
from keras_kd.tuning.space import Space

pytestmark = [pytest.mark.core, pytest.mark.alike]


def test_each_description_is_a_distribution_of_optuna():
    own = FloatDistribution(0.0, 1.0, step=0.1)
    space = Space(
        {
            "temperature": (1.0, 8.0),
            "rate": (1e-4, 1e-1, "log"),
            "width": (np.int64(8), 64),
            "wide": (8, 64, "log"),
            "depth": [1, 2, None],
            "loss": {"kd": object(), "dkd": object()},
            "alpha": own,
        }
    )
    assert space.distributions == {
        "temperature": FloatDistribution(1.0, 8.0),
        "rate": FloatDistribution(1e-4, 1e-1, log=True),
        "width": IntDistribution(8, 64),
        "wide": IntDistribution(8, 64, log=True),
        "depth": CategoricalDistribution([1, 2, None]),
        "loss": CategoricalDistribution(["kd", "dkd"]),
        "alpha": own,
    }


def test_a_choice_by_name_is_the_thing_itself():
    things = {"small": (4,), "large": (8, 8)}
    space = Space({"hidden": things, "alpha": (0.0, 1.0), "width": (2, 9)})
    trial = optuna.trial.FixedTrial({"hidden": "large", "alpha": 0.25, "width": 3})
    settings = space.settings(trial)
    assert settings["hidden"] is things["large"]
    assert dict(settings) == {"hidden": (8, 8), "alpha": 0.25, "width": 3}


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({}, "`space` must be a dict of settings by name"),
        ([("alpha", (0.0, 1.0))], "`space` must be a dict of settings by name"),
        ({"alpha": 0.1}, "A setting is a range .* Received: 'alpha': 0.1"),
        ({"alpha": (0.0,)}, "A setting is a range"),
        ({"alpha": (0.0, True)}, "A setting is a range"),
        ({"alpha": (0.0, float("nan"))}, "A setting is a range"),
        ({"alpha": (0.0, 1.0, "logarithmic")}, "A setting is a range"),
        ({"alpha": (1.0, 0.0)}, "low < high"),
        ({"rate": (0.0, 1.0, "log")}, "0 < low < high"),
        ({"alpha": (0, 1)}, "two whole numbers"),
        ({"alpha": []}, "Choices are numbers"),
        ({"alpha": [0.1, 0.1]}, "Choices are numbers"),
        ({"hidden": [(4,), (8, 8)]}, "is chosen by name"),
        ({"loss": {}}, "Choices are numbers"),
    ],
)
def test_a_wrong_description_is_told(described, said):
    with pytest.raises(ValueError, match=said):
        Space(described)


def test_a_name_that_is_no_text_is_told():
    with pytest.raises(TypeError, match="Names of settings are strings"):
        Space({1: (0.0, 1.0)})


def test_a_setting_that_the_space_lacks_is_told_with_the_nearest():
    settings = Settings({"temperature": 4.0, "alpha": 0.1})
    with pytest.raises(KeyError, match=r"no such setting.*temperture.*Did you mean 'temperature'"):
        settings["temperture"]
    assert settings.read == set()


@pytest.mark.parametrize(
    "use", [lambda s: s["alpha"], lambda s: s.pop("alpha"), lambda s: dict(**s), lambda s: {**s}]
)
def test_what_was_asked_for_is_known(use):
    settings = Settings({"alpha": 0.1})
    assert settings.get("temperature", 4.0) == 4.0
    assert settings.read == set()
    use(settings)
    assert settings.read == {"alpha"}

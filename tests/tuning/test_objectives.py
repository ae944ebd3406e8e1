"""What is chosen by, and which way is better."""

import pytest

from keras_kd.tuning.objectives import find_objectives

pytestmark = [pytest.mark.core, pytest.mark.alike]


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val_accuracy", "maximize"),
        ("val_sparse_categorical_accuracy", "maximize"),
        ("val_f1_score", "maximize"),
        ("val_AUC", "maximize"),
        ("val_loss", "minimize"),
        ("val_student_loss", "minimize"),
        ("val_mean_absolute_error", "minimize"),
        ("latency", "minimize"),
        ("parameters", "minimize"),
    ],
)
def test_the_direction_is_known_by_the_name(name, direction):
    (found,) = find_objectives(name, None)
    assert (found.name, found.direction) == (name, direction)
    assert found.is_cost == (name in ("latency", "parameters"))


def test_a_direction_that_is_given_counts():
    (found,) = find_objectives("val_score", "maximize")
    assert found.direction == "maximize"
    first, second = find_objectives(("val_gain", "latency"), ["maximize", "minimize"])
    assert (first.direction, second.direction) == ("maximize", "minimize")


@pytest.mark.parametrize(
    ("objectives", "directions", "said"),
    [
        ("val_score", None, "directions='maximize' or 'minimize'"),
        ((), None, "must be a name or several"),
        (("val_loss", "val_loss"), None, "must be a name or several"),
        (3, None, "must be a name or several"),
        ("loss", None, "A loss of the training data holds alpha"),
        ("kd_loss", None, "A loss of the training data holds alpha"),
        ("val_loss", "max", "`directions` must hold one of"),
        (("val_loss", "latency"), "minimize", "`directions` must hold one of"),
    ],
)
def test_a_wrong_objective_is_told(objectives, directions, said):
    with pytest.raises(ValueError, match=said):
        find_objectives(objectives, directions)

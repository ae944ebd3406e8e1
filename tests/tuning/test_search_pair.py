"""Both sides searched alike, and compared on data that chose nothing."""

import keras
import numpy as np
import pytest
from models_for_tests import examples, inferred
from searches import FIT, SPACE, VALIDATION, X, Y, make_distiller, make_student

from keras_kd.tuning import PairResult, SearchResult, search_pair

pytestmark = [pytest.mark.core, pytest.mark.alike]

TEST = examples(30, seed=2)


class Again(keras.utils.PyDataset):
    """A data set that is made anew of arrays."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 1

    def __getitem__(self, number):
        return self.arrays


@pytest.fixture(scope="module")
def pair():
    return search_pair(
        make_distiller,
        SPACE,
        X,
        Y,
        make_student=make_student,
        student_space={"rate": (0.1, 1.0, "log")},
        trials=2,
        **FIT,
    )


def test_both_sides_have_as_many_trials(pair):
    assert isinstance(pair, PairResult)
    assert len(pair.distilled.rows) == len(pair.alone.rows) == 2
    assert list(pair.alone.best_settings) == ["rate"]
    assert set(pair.distilled.best_settings) == {"alpha", "width"}


def test_the_report_is_of_new_seeds_on_new_data(pair):
    found = pair.report(TEST, seeds=[3, 4])
    assert list(found.kinds) == ["alone", "distilled"]
    (difference,) = found.differences
    assert (difference.model, difference.against) == ("distilled", "alone")
    assert difference.verdict in found.to_markdown()
    accuracies = {row["model"]: row["accuracy"] for row in found.rows}
    assert list(accuracies) == ["alone, 1", "alone, 2", "distilled, 1", "distilled, 2"]
    keras.utils.set_random_seed(4)
    model = make_distiller(pair.distilled.best_settings)
    model.fit(X, Y, **FIT)
    right = inferred(model.student, TEST[0]).argmax(-1) == TEST[1]
    assert accuracies["distilled, 2"] == pytest.approx(right.mean())


@pytest.mark.parametrize(
    ("data", "seeds", "said"),
    [
        (VALIDATION, 2, "chosen by these data.*`validation_data`"),
        ((X, TEST[1][:12]), 2, "chosen by these data.*`x`"),
        ((X.copy(), TEST[1][:12]), 2, "chosen by these data.*`x`"),
        (Again(*VALIDATION), 2, "chosen by these data.*`validation_data`.*100%"),
        (TEST, 1, "`seeds` must be a whole number of at least 2"),
        (TEST, [5], "Two seeds at least that differ"),
        (TEST, [5, 5], "Two seeds at least that differ"),
    ],
)
def test_what_would_flatter_is_refused(pair, data, seeds, said):
    with pytest.raises(ValueError, match=said):
        pair.report(data, seeds)


def test_some_examples_that_were_used_are_told(pair, monkeypatch):
    def train(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(SearchResult, "train", train)
    mixed = [np.concatenate([new, old[:2]]) for new, old in zip(TEST, VALIDATION, strict=True)]
    said = r"of which 6.2% are in `validation_data`"
    with pytest.warns(UserWarning, match=said), pytest.raises(KeyboardInterrupt):
        pair.report(tuple(mixed), 2)

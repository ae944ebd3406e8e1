import pytest

from keras_kd.evaluation.tables import columns, traded_column

pytestmark = [pytest.mark.core, pytest.mark.alike]


def test_only_figures_that_some_model_has_are_shown():
    rows = [{"accuracy": 0.5, "flops": None, "kl": None}, {"accuracy": 0.4, "flops": 3, "kl": None}]
    assert [column.key for column in columns("classification", rows)] == ["accuracy", "flops"]


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_each_task_has_a_figure_to_hold_against_size(task):
    key = traded_column(task).key
    assert [column.key for column in columns(task, [{key: 1.0}])] == [key]
    assert traded_column(task).better is not None

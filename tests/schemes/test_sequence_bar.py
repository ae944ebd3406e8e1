"""The bar of a sequence of trainings."""

import re
import sys

from sequences import FIT, X, Y, compiled, named

from keras_kd.schemes import assistant_chain


def shown(capsys, **given):
    models = [named("large", 9, seed=1), named("middle", 7, seed=2), named("small", 5, seed=3)]
    given = {**FIT, "compile": compiled, "epochs": 2, "verbose": "auto", **given}
    assistant_chain(models, X, Y, **given)
    return capsys.readouterr().out


def test_in_a_file_each_epoch_has_a_line_that_names_the_model(capsys):
    lines = shown(capsys).splitlines()
    assert [re.sub(r" [━─]+ ", " ", line.split(", 0:")[0]) for line in lines] == [
        "1 of 2: middle, taught by large epoch 1/2",
        "1 of 2: middle, taught by large epoch 2/2",
        "2 of 2: small, taught by middle epoch 1/2",
        "2 of 2: small, taught by middle epoch 2/2",
    ]
    assert [line.count("━") for line in lines] == [5, 10, 15, 20]  # of all epochs
    assert "0:00 left - kd_loss: " in lines[-1]


def test_on_a_terminal_a_line_moves_and_stays_when_its_training_ends(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    out = shown(capsys, batch_size=3)
    lines = out.split("\n")
    assert len(lines) == 3 and lines[-1] == ""
    for name, line in zip(("middle", "small"), lines, strict=False):
        drawn = line.split("\r")
        assert len(drawn) > 2 and {len(each) for each in drawn[1:]} == {59}
        assert f": {name}, taught by" in drawn[-1]
    assert "━" * 20 in lines[1]

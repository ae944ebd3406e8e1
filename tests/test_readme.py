"""The README's Python blocks run, one after the other, and its table lists what there is."""

import re
from pathlib import Path

import pytest

import keras_kd

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.pages
def test_the_code_blocks_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 4
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "| teacher |" in printed
    assert "student.tflite (tflite int8)" in printed
    assert (tmp_path / "best.keras").exists()


def test_the_loss_of_the_contributors_page_works():
    import numpy as np

    block = re.search(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL).group(1)
    names = {}
    exec(compile("\n".join(line[3:] for line in block.splitlines()), "page", "exec"), names)
    assert float(names["MyLoss"]()(np.ones((2, 3)), np.zeros((2, 3)))) == 1.0


@pytest.mark.parametrize("room", ["losses", "callbacks", "teachers"])
def test_every_public_name_has_a_row(room):
    for name in getattr(keras_kd, room).__all__:
        assert f"`{room}.{name}`" in README

"""The README is short, its Python blocks run one after the other, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.pages
def test_the_code_blocks_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "| teacher |" in printed
    assert "student.tflite (tflite int8)" in printed


def test_it_is_read_in_two_minutes():
    assert len(README.splitlines()) <= 120


def test_its_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert len(links) > 20
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_loss_of_the_contributors_page_works():
    import numpy as np

    block = re.search(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL).group(1)
    names = {}
    exec(compile("\n".join(line[3:] for line in block.splitlines()), "page", "exec"), names)
    assert float(names["MyLoss"]()(np.ones((2, 3)), np.zeros((2, 3)))) == 1.0

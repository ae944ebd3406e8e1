"""The page of attacks is printed from what pytest left."""

import importlib
import json
import sys
from pathlib import Path


def test_the_page_of_attacks_has_a_line_an_attack_and_backend(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    page = importlib.import_module("attacks")
    line = {"attack": "Kills", "tried": 1000, "lost": 0, "silent": 0, "raw": 1}
    (tmp_path / "attacks_jax.json").write_text(json.dumps([line]))
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(sys, "argv", ["attacks.py", str(tmp_path / "attacks_jax.json")])
    page.main()
    assert "| Kills | jax | 1,000 | 0 | 0 | 1 |" in capsys.readouterr().out
    assert "| Kills | jax | 1,000 |" in (tmp_path / "page.md").read_text()

"""The script that chooses the demo's settings runs, and never looks at the test split."""

import dataclasses
import importlib
from pathlib import Path

import pytest
import tensorflow as tf


@pytest.mark.slow
def test_the_settings_have_a_line_each(monkeypatch, tmp_path):
    def looked_at():
        yield pytest.fail("the test split was looked at")

    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    settings = importlib.import_module("demo_settings")
    (tmp_path / "models").mkdir()
    data = settings.digits()
    test = tf.data.Dataset.from_generator(looked_at, output_signature=data.test.element_spec)
    data = dataclasses.replace(data, test=test)
    monkeypatch.setattr(settings, "digits", lambda: data)
    text = settings.page(tmp_path, small=True)
    assert text.count("±") == 4 and "| 0 | 1 |" in text

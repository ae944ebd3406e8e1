"""What the attacks found, as a table: `make attacks` keeps it in a file."""

import json
import os
import pathlib

import pytest

COLUMNS = ("tried", "lost", "silent", "raw")


@pytest.fixture
def row(record_property):
    """Notes one line of the table, and asserts that nothing was lost, silent or raw.

    `lost`: what was there and is not; `silent`: wrong answers, or what should have been refused;
    `raw`: errors that name nothing of ours.
    """

    def note(attack, tried, *, least, lost=(), silent=(), raw=()):
        found = {"tried": tried, "lost": len(lost), "silent": len(silent), "raw": len(raw)}
        record_property("attack", json.dumps({"attack": attack, **found}))
        assert not lost and not silent and not raw, (lost, silent, raw)
        assert tried >= least

    return note


def pytest_terminal_summary(terminalreporter, config):
    """Writes the lines of all workers to the file that KERAS_KD_ATTACKS names."""
    file = os.environ.get("KERAS_KD_ATTACKS")
    if not file or hasattr(config, "workerinput"):  # one of pytest-xdist's workers has a part
        return
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind)]
    lines = [value for each in reports for name, value in each.user_properties if name == "attack"]
    pathlib.Path(file).write_text(json.dumps([json.loads(line) for line in lines], indent=1))

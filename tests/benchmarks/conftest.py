"""What tests of the task scripts share: a small setting, run and read."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@dataclasses.dataclass(frozen=True)
class SmallRun:
    """What a script printed.

    Attributes:
        page: All of it.
        tables: For each table the cells of its rows by the row's name, without the headings.
        trained: How many trainings it kept the figures of.
    """

    page: str
    tables: list
    trained: int


@pytest.fixture
def small_task(tmp_path):
    """Runs a task's script on its small setting, and again, which must train nothing."""

    def once(script):
        command = [sys.executable, str(BENCHMARKS / script), "--small", "--cache", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout, done.stderr.count("'seconds': ")

    def run(script, timed_from=None):
        """Returns a `SmallRun`. Behind the words `timed_from` times may differ between runs."""
        page, trained = once(script)
        again, more = once(script)
        end = None if timed_from is None else page.index(timed_from)
        assert (more, again[:end]) == (0, page[:end])
        return SmallRun(page, [_table(text) for text in _texts_of_tables(page)], trained)

    return run


def _texts_of_tables(page):
    return re.findall(r"^(?:\|.*\n)+", page, re.MULTILINE)


def _table(text):
    lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines()]
    return {name: cells for name, *cells in lines[2:]}

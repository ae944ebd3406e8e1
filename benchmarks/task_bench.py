"""What the scripts behind `tasks.md` share: options, kept trainings, and their table.

    python benchmarks/task_bench.py SCRIPT   # puts the figures that SCRIPT has kept into begun.json

A table that was begun goes on from there on another machine: its figures come with the repository.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from setup_lines import cpu_model, setup_lines

from keras_kd.evaluation.run_report import markdown_table

keras.config.disable_interactive_logging()
BEGUN = Path(__file__).with_name("begun.json")  # figures of tables that are not whole yet


class TaskBench:
    """Trains each row of a table once for each seed, and keeps the figures.

    A stopped script continues where it was. Figures belong to the row's name, the seed and the
    settings: change one of them where a training changes, or delete the folder.

    Args:
        script: The script's path, as its page shows it.
        settings: A frozen dataclass with a field `seeds`.
        options: What `task_options` returned.
    """

    def __init__(self, script, settings, options):
        self.script, self.settings, self._only = script, settings, options.only
        self.folder = options.cache.expanduser() / Path(script).stem
        self.folder.mkdir(parents=True, exist_ok=True)
        self._elsewhere = set()
        kept = {**dataclasses.asdict(settings), "seeds": None}
        text = json.dumps(kept, sort_keys=True, default=str)
        self._key = hashlib.sha256(text.encode()).hexdigest()[:8]

    def file(self, name, suffix):
        """Returns where something of these settings is kept, such as a trained teacher."""
        return self.folder / f"{re.sub(r'[^a-z0-9]+', '_', name.lower())}-{self._key}{suffix}"

    def teacher(self, train, name="teacher"):
        """Returns the kept model; where there is none, what `train()` returns, and keeps it."""
        file = self.file(name, ".keras")
        if not file.exists():
            keras.utils.set_random_seed(0)
            start = time.perf_counter()
            train().save(file)
            print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
        return keras.saving.load_model(file, compile=False)

    def figures(self, row, seed, train):
        """Returns a training's figures, from `train(seed)` if they are not kept yet.

        Args:
            row: The row's name in the table.
            seed: Of the weights, the order and the dropout.
            train: Takes the seed, trains, and returns a dict of numbers.
        """
        file = self.file(f"{row}-seed-{seed}", ".json")
        begun = json.loads(BEGUN.read_text()).get(f"{self.folder.name}/{file.stem}")
        if begun is not None and not file.exists():
            file.write_text(json.dumps(begun))
            self._elsewhere.add(begun["machine"])
        if not file.exists():
            keras.utils.set_random_seed(seed)
            start = time.perf_counter()
            found = {name: float(value) for name, value in train(seed).items()}
            found["seconds"] = round(time.perf_counter() - start, 1)
            keras.utils.clear_session()
            keras.config.disable_interactive_logging()  # which `clear_session` turns on again
            aside = file.with_suffix(".part")
            aside.write_text(json.dumps(found))
            aside.replace(file)
            print(f"{row}, seed {seed}: {found}", file=sys.stderr, flush=True)
        return json.loads(file.read_text())

    def table(self, rows, columns, first=()):
        """Returns a Markdown table of means and standard deviations over the seeds.

        Args:
            rows: `{row: train}`, trained where they are not kept yet.
            columns: `{key of the figures: heading}`; the headings say the unit.
            first: Rows that stand above, such as the teacher's: lists of a name and cells.
        """
        lines = [["row", *columns.values()], *first]
        for row, train in rows.items():
            found = [self.figures(row, seed, train) for seed in self.settings.seeds]
            lines.append([row, *(mean_and_sd([one[key] for one in found]) for key in columns)])
        return markdown_table(lines)

    def print_setup(self):
        """Says on what the figures were made, at the end of a section."""
        for machine in sorted(self._elsewhere):
            print(f"- begun on: {machine}")
        only = f" --only {self._only}" if self._only else ""
        print("\n".join([*setup_lines(f"{self.script}{only}"), ""]), flush=True)


def keep_begun(folder):
    """Puts a script's figures into `begun.json`, beside those of others."""
    begun = json.loads(BEGUN.read_text())
    for file in folder.glob("*.json"):
        figures = {"machine": cpu_model(), **json.loads(file.read_text())}
        begun[f"{folder.name}/{file.stem}"] = figures
    BEGUN.write_text(json.dumps(dict(sorted(begun.items())), indent=1) + "\n")


def mean_and_sd(values):
    """Returns `mean ± sd` with two decimals, or the value where there is one."""
    spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{spread}"


def sets_of(settings, options):
    """Returns the settings of those data sets that `--only` asks for, all without it."""
    found = [each for each in settings if options.only in (None, each.data)]
    if not found:
        raise SystemExit(f"--only takes one of {[each.data for each in settings]}")
    return found


def task_options(description, arguments=None, extend=None):
    """Reads the command line that the task scripts share.

    Args:
        description: The script's docstring.
        arguments: The command line's words; None for the process' own.
        extend: Called with the parser, to add a script's own options.
    """
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--data-dir", default=os.environ.get("KERAS_KD_DATA_DIR"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/keras_kd/tasks"))
    parser.add_argument("--only", help="one of the data sets, where a script has several")
    parser.add_argument("--small", action="store_true", help="little data, one epoch, one seed")
    if extend:
        extend(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    keep_begun(Path("~/.cache/keras_kd/tasks").expanduser() / Path(sys.argv[1]).stem)

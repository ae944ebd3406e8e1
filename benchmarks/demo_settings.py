"""Chooses the demo's settings on the validation split of the digits: benchmarks/demo_settings.md.

Students see the demo's data and nets, with seeds that the demo does not use; the test split is
never touched. The student alone is tuned as long as the distilled one.
"""

import argparse
import contextlib
import itertools
import tempfile
from pathlib import Path

import keras
import numpy as np
import tqdm
from setup_lines import setup_lines

from keras_kd.data import digits
from keras_kd.demo.run import Run

PAGE = Path(__file__).with_suffix(".md")
ALPHAS, TEMPERATURES = (0.0, 0.1, 0.5), (1.0, 2.0, 4.0, 8.0)
RATES, SHARES = (3e-3, 1e-2, 3e-2), (0.1, 0.3, 1.0)


def main():
    """Trains the grid and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="two settings, one seed, two epochs")
    small = parser.parse_args().small
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "models").mkdir()
        text = page(Path(folder), small)
    print(text)
    if not small:
        PAGE.write_text(text)


def page(folder, small):
    """Returns the tables."""
    options = argparse.Namespace(
        epochs=2 if small else None, labels=100, student_width=None, alpha=0.1, temperature=4.0
    )
    run = Run(digits(), folder, options)
    seeds = range(100, 101 if small else 105)
    with tqdm.tqdm(disable=True) as bar:
        keras.utils.set_random_seed(0)
        run.teacher = run.nets.teacher()
        run.fit(run.teacher, run.training_data("all_labels", 0), "teacher", bar)
        told = run.told()

        def scores(kind, rate=None):
            found = []
            for seed in seeds:
                keras.utils.set_random_seed(seed)
                model = run.nets.student()
                trained = run.distiller(model) if kind == "distilled" else model
                run.fit(trained, run.training_data(kind, seed, told), kind, bar, rate)
                found.append(100 * run.validation_accuracy(model))
            spread = np.std(found, ddof=1) if len(found) > 1 else 0.0
            return f"{np.mean(found):.2f} ± {spread:.2f}"

        distilled = ["| alpha | T | accuracy % |", "|--:|--:|--:|"]
        for options.alpha, options.temperature in _few(
            itertools.product(ALPHAS, TEMPERATURES), small
        ):
            line = f"| {options.alpha:g} | {options.temperature:g} |"
            distilled.append(f"{line} {scores('distilled')} |")
        alone = ["| rate | steps | accuracy % |", "|--:|--:|--:|"]
        epochs = run.epochs
        for rate, share in _few(itertools.product(RATES, SHARES), small):
            run.epochs = max(1, round(share * epochs))
            alone.append(f"| {rate:g} | {run.epochs * run.steps} | {scores('alone', rate)} |")
        run.epochs = epochs
    lines = [
        "# Settings of the demo",
        "",
        f"Accuracy on the validation split of the digits, mean and standard deviation over "
        f"{len(seeds)} seeds that the demo does not use; 100 labelled images.",
        "",
        *setup_lines("benchmarks/demo_settings.py"),
        "",
        "## Distilled: 100 labels and what the teacher says of all images",
        "",
        *distilled,
        "",
        "## Alone: 100 labels",
        "",
        *alone,
    ]
    return "\n".join(lines) + "\n"


def _few(settings, small):
    return itertools.islice(settings, 2 if small else None)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()

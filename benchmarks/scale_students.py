"""A sweep of four students on one cache: one after another, in processes, and in one step.

    python benchmarks/scale_students.py --data-dir DIR   # ten minutes on 2 cores
    python benchmarks/scale_students.py --small          # a minute, on digits alone

The students differ in the temperature. All begin with the same weights and see the same batches, so
that the ways should end alike. Every run is a process of its own, which is timed from outside.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import keras
import numpy as np
from epoch_clock import EpochClock
from setup_lines import setup_lines
from speed_pairs import flip_and_shift
from undisturbed import Undisturbed

import keras_kd
from keras_kd.data import digits, image_classification
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.models import cnn, mlp

SCRIPT = "benchmarks/scale_students.py"
TEMPERATURES = (1.0, 2.0, 4.0, 8.0)
ALPHA, BATCH, RATE = 0.1, 64, 1e-3
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
FIRST = "one after another, one process"


def ways(count):
    """Returns for each way the students of its processes, how many run at a time, and as what."""
    every = tuple(range(count))
    each = tuple((number,) for number in every)
    return {
        FIRST: ((every,), 1, "distillers"),
        **{
            f"{count} processes, {most} at a time": (each, most, "distillers")
            for most in sorted({2, count})
        },
        "SeveralStudents, one step for all": ((every,), 1, "together"),
    }


@dataclasses.dataclass(frozen=True)
class Case:
    """Students and their data.

    Attributes:
        name: For the heading.
        data: `digits`, or the name of a TFDS set.
        student: Makes a student for images of a shape, with a name.
        examples: How many are trained on.
        epochs: How often.
        augment: `f(image, seed)`, or None; with one the images are read anew in each pass.
    """

    name: str
    data: str
    student: object
    examples: int
    epochs: int
    augment: object = None


CASES = {
    "digits": Case(
        "A small CNN on digits, in memory",
        "digits",
        lambda shape, name: cnn(shape, 10, width=8, stages=2, name=name),
        1024,
        12,
    ),
    "mlp": Case(
        "MLP 800-800 on MNIST, in memory",
        "mnist",
        lambda shape, name: mlp(shape, 10, hidden=(800, 800), name=name),
        3200,
        3,
    ),
    "images": Case(
        "A CNN on CIFAR-10, read and augmented in each pass",
        "cifar10",
        lambda shape, name: cnn(shape, 10, width=8, stages=3, name=name),
        1600,
        3,
        flip_and_shift,
    ),
}


class Sweep:
    """What a process of one case does.

    Args:
        case: The `Case`.
        folder: Where the teacher's answers and the students' go.
        data_dir: Where TFDS sets are.
        small: Whether the setting is that of the tests.
    """

    def __init__(self, case, folder, data_dir, small):
        self.case, self.folder = case, Path(folder)
        self.epochs = 2 if small else case.epochs
        self.data = digits() if case.data == "digits" else image_classification(case.data, data_dir)

    def prepare(self):
        """Labels the data with a teacher that was trained for a moment."""
        keras.utils.set_random_seed(0)
        shape = self.data.image_shape
        if self.case.data == "mnist":
            teacher = mlp(shape, 10, hidden=(1200, 1200), name="teacher")
        else:
            teacher = cnn(shape, 10, width=32, name="teacher")
        teacher.compile("adam", LOSS)
        x, y = self._examples()
        teacher.fit(x, y, epochs=2, batch_size=BATCH, verbose=0)
        self._labelled(teacher)

    def run(self, numbers, what):
        """Trains students, and prints in JSON what that took."""
        labelled = self._labelled(None)
        start = time.perf_counter()
        students = [self._student(number) for number in numbers]
        temperatures = [TEMPERATURES[number] for number in numbers]
        if what == "together":
            several = keras_kd.scale.SeveralStudents(students)
            names = [student.name for student in students]
            losses = map(keras_kd.losses.KDLoss, temperatures)
            kd_loss = dict(zip(names, losses, strict=True))
            models = [keras_kd.Distiller(several, alpha=ALPHA, kd_loss=kd_loss)]
        else:
            pairs = zip(students, temperatures, strict=True)
            models = [keras_kd.Distiller(each, alpha=ALPHA, temperature=t) for each, t in pairs]
        epoch = sum(self._fit(model, labelled) for model in models)
        found = {"seconds": time.perf_counter() - start, "epoch": epoch}
        images, labels = next(self.data.test.batch(2000).as_numpy_iterator())
        said = [student.predict(images, batch_size=500, verbose=0) for student in students]
        found["right"] = [100.0 * float(np.mean(each.argmax(-1) == labels)) for each in said]
        print(json.dumps(found))

    def _student(self, number):
        keras.utils.set_random_seed(1)
        return self.case.student(self.data.image_shape, f"student_{number}")

    def _fit(self, model, labelled):
        clock = EpochClock()
        model.compile(keras.optimizers.Adam(RATE), LOSS)
        batches = labelled.shuffle(1024, seed=2).batch(BATCH, drop_remainder=True)
        if isinstance(model.student, keras_kd.scale.SeveralStudents):
            batches = batches.map(model.student.for_each)
        model.fit(batches.prefetch(2), epochs=self.epochs, callbacks=[clock], verbose=0)
        return clock.epoch

    def _examples(self):
        """Returns the first training examples as arrays."""
        return next(self.data.train.batch(self.case.examples).as_numpy_iterator())

    def _labelled(self, teacher):
        """Returns the examples with the teacher's answers."""
        cache = keras_kd.TeacherCache(self.folder / "answers", teacher)
        if self.case.augment is None:
            return cache.label(self._examples())
        return cache.label(self.data.train.take(self.case.examples), augment=self.case.augment)


def swept(options, case, folder, way):
    """Returns the seconds of one sweep: in all, of the training, and of an epoch of all."""
    groups, at_a_time, what = way
    lanes = {}

    def one(numbers):
        arguments = ["--run", ",".join(map(str, numbers)), "--train", what]
        found = json.loads(_child(options, case, folder, arguments).splitlines()[-1])
        lanes.setdefault(threading.get_ident(), []).append(found)
        return found["right"]

    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        right = [each for group in pool.map(one, groups) for each in group]
    took = {"sweep": time.perf_counter() - start, "right": right}
    for name in ("seconds", "epoch"):
        took[name] = max(sum(found[name] for found in lane) for lane in lanes.values())
    return took


def _child(options, case, folder, arguments):
    """Returns what a process of this script prints."""
    command = [sys.executable, __file__, "--case", case, "--folder", folder, *arguments]
    command += ["--small"] * options.small
    if options.data_dir:
        command += ["--data-dir", options.data_dir]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def table(options, case, repeats, quietly):
    """Returns the section of one case."""
    with tempfile.TemporaryDirectory() as folder:
        _child(options, case, folder, ["--prepare"])
        listed = ways(2 if options.small else len(TEMPERATURES))
        found = {name: [] for name in listed}
        for repeat in range(repeats):
            for number, (name, way) in enumerate(listed.items()):
                kept_as = f"students_{case}_{number}_{repeat}"
                found[name].append(quietly(kept_as, swept, options, case, folder, way))
    alone = np.mean([each["right"] for each in found[FIRST]], 0)
    rows = [["way", "sweep, s", "gain", "training, s", "gain", "an epoch of all, s", "gain", "off"]]
    for way, runs in found.items():
        cells = [way]
        for name, places in (("sweep", 1), ("seconds", 1), ("epoch", 2)):
            values, base = ([each[name] for each in r] for r in (runs, found[FIRST]))
            cells += [_spread(values, places), f"{np.median(base) / np.median(values):.2f}"]
        off = max(np.abs(np.subtract(each["right"], alone)).max() for each in runs)
        rows.append([*cells, f"{off:.1f}"])
    chosen = CASES[case]
    epochs = 2 if options.small else chosen.epochs
    right = ", ".join(f"{each:.1f}" for each in alone)
    return (
        f"### {chosen.name}\n\n{chosen.examples:,} examples, {epochs} epochs in batches of "
        f"{BATCH}; one after another they are right on {right} % of the test images (the "
        f"first 2,000 at most).\n\n{markdown_table(rows)}\n"
    )


def _times(repeats):
    return "One run of each" if repeats == 1 else f"Median (least to most) of {repeats} runs"


def _command(options):
    """Returns the command with what is not its default."""
    chosen = [] if options.case == list(CASES) else ["--case", *options.case]
    repeats = [] if options.repeats == 3 else [f"--repeats {options.repeats}"]
    return " ".join([SCRIPT, *chosen, *repeats])


def _spread(values, places):
    low, middle, high = np.quantile(values, (0.0, 0.5, 1.0))
    if len(values) == 1:
        return f"{middle:.{places}f}"
    return f"{middle:.{places}f} ({low:.{places}f} to {high:.{places}f})"


def main(arguments=None):
    """Runs all ways, or as one of their processes trains students."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", default=os.environ.get("KERAS_KD_DATA_DIR"))
    parser.add_argument(
        "--small", action="store_true", help="two students of digits, two epochs, once"
    )
    parser.add_argument("--cache", help="a folder that keeps the figures of runs")
    parser.add_argument("--repeats", type=int, default=3, help="of each way")
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES), help="which")
    parser.add_argument("--folder", help="of one process: where the answers are")
    parser.add_argument("--prepare", action="store_true", help="of one process: label")
    parser.add_argument("--run", help="of one process: which students it trains")
    parser.add_argument("--train", choices=("distillers", "together"))
    options = parser.parse_args(arguments)
    keras.config.disable_interactive_logging()
    if options.folder:
        sweep = Sweep(CASES[options.case[0]], options.folder, options.data_dir, options.small)
        if options.prepare:
            sweep.prepare()
        else:
            sweep.run([int(number) for number in options.run.split(",")], options.train)
        return
    repeats, told = options.repeats, TEMPERATURES
    if options.small:
        repeats, told = 1, TEMPERATURES[:2]
    quietly = Undisturbed(options.cache, tries=1 if options.small else 3)
    cases = ["digits"] if options.small else options.case
    temperatures = ", ".join(f"{each:g}" for each in told)
    print(
        f"## A sweep of {len(told)} students\n\n`{SCRIPT}` prints this section.\n\nTemperatures "
        f"{temperatures}, one cache. Sweep: from the first process' start to the last one's end, "
        "with imports, data and the look at the cache. Training: without these, the first step's "
        "tracing included. An epoch of all: the median of all but the first. Of several processes, "
        "the one that takes longest, or those that follow each other. Gain: of the medians, over "
        "one after another. Off: the largest difference of a student's test accuracy from one "
        f"after another, in points. {_times(repeats)}.\n"
    )
    for case in cases:
        print(table(options, case, repeats, quietly), flush=True)
    print("\n".join([*setup_lines(_command(options)), quietly.line()]))


if __name__ == "__main__":
    main()

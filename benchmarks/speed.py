"""How fast a student learns: alone, beside a live teacher, and from a cache.

    python benchmarks/speed.py --data-dir DIR            # prints what speed.md shows
    python benchmarks/speed.py --data-dir DIR --small    # the same tables in minutes
    python benchmarks/speed.py --data-dir DIR --near     # rows from a cache alone, in ten minutes

Every row trains the same student with the same batches in the same process. Rows take turns, and a
row's ratio is the median over the repeats of its rate over that of `student.fit` (or of Keras' own
distiller) in the same repeat. Rows from a cache are so near to `student.fit` that each is run
beside it more often, one epoch after the other. Weights are random: only time is measured. Peak
memory is that of a process of its own that runs one row.
"""

import argparse
import dataclasses
import gc
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from setup_lines import setup_lines
from speed_import import import_lines
from speed_pairs import PAIRS, AttentionTransfer, without_autotune
from speed_storage import format_lines, reading_line
from speed_teacher import teacher_lines
from speed_xla import xla_lines

import keras_kd
from keras_kd.evaluation.run_report import markdown_table

keras.config.disable_interactive_logging()
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
LABELLED = 50_000  # examples, at least, whose labelling is timed
LONG = 60.0  # seconds after which labelling is not timed once more
TRIED = 8_000  # among them, with which `predict` looks for its best batch size
PLAIN, THEIRS = "`student.fit`", "`keras.distillation`, outputs"
THEIRS_INSIDE = "`keras.distillation`, one feature layer"
LIVE, LIVE_HALF = "live, float32", "live, bfloat16"
INSIDE = "live, one feature layer"
MEMORY, DISK, TOP = "cached in memory", "cached on disk", "cached on disk, top 3"
WEIGHED = (PLAIN, LIVE, DISK)  # whose memory is measured
PLAIN_AUGMENTED, VIEWS = "`student.fit`, augmented", "cached on disk, 4 views"
NEAR = {MEMORY: PLAIN, DISK: PLAIN, TOP: PLAIN, VIEWS: PLAIN_AUGMENTED}  # what they are run beside


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much is measured."""

    batch_size: int = 64
    steps: int | None = None  # None for the pair's own
    repeats: int = 5
    pairs: int = 15  # of a row from a cache with `student.fit`
    small: bool = False


class Bench:
    """One pair: its data, its models, its cache, and a model to fit for every row."""

    def __init__(self, pair, settings, data_dir, folder):
        self.pair, self.settings, self.folder = pair, settings, Path(folder)
        steps = settings.steps or pair.steps
        self.x, self.y = pair.load(steps * settings.batch_size, data_dir)
        self.teacher = pair.teacher()
        self.bytes = {}

    def rows(self):
        names = [PLAIN, THEIRS, THEIRS_INSIDE, LIVE, INSIDE, LIVE_HALF, MEMORY, DISK]
        if self.teacher.output_shape[-1] > 3:
            names.append(TOP)
        return [*names, PLAIN_AUGMENTED, VIEWS] if self.pair.augment else names

    def make(self, row):
        """Returns `(model, data)` that `fit` takes, compiled."""
        student = self.pair.student()
        ours, theirs = self.pair.layer
        data = tf.data.Dataset.from_tensor_slices((self.x, self.y))
        if row in (PLAIN, PLAIN_AUGMENTED):
            model = student
        elif row in (THEIRS, THEIRS_INSIDE):
            losses = [keras.distillation.LogitsDistillation(4.0, keras.losses.KLDivergence())]
            if row == THEIRS_INSIDE:
                maps = len(self.teacher.get_layer(theirs).output.shape) > 2
                feature = keras.distillation.FeatureDistillation(
                    AttentionTransfer() if maps else "mse",
                    teacher_layer_name=theirs,
                    student_layer_name=ours,
                )
                losses.append(feature)
            model = keras.distillation.Distiller(
                teacher=self.teacher,
                student=student,
                distillation_losses=losses,
                student_loss_weight=0.1,
            )
        elif row in (LIVE, LIVE_HALF, INSIDE):
            features = []
            if row == INSIDE:
                maps = len(self.teacher.get_layer(theirs).output.shape) > 2
                loss = keras_kd.losses.ATLoss if maps else keras_kd.losses.FitNetLoss
                features = [loss(layers={ours: theirs})]
            dtype = "bfloat16" if row == LIVE_HALF else None
            model = keras_kd.Distiller(
                student, self.teacher, feature_losses=features, teacher_dtype=dtype
            )
        else:
            model = keras_kd.Distiller(student)
            data = self._cached(row, data)
        if row == PLAIN_AUGMENTED:
            augment = self.pair.augment
            data = data.enumerate().map(
                lambda i, xy: (augment(xy[0], tf.stack([tf.cast(i, tf.int32), 0])), xy[1]),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        if row == MEMORY:
            data = data.cache()
        model.compile("adam", CROSS_ENTROPY)
        data = data.shuffle(1024).batch(self.settings.batch_size).prefetch(2)
        return model, without_autotune(data)

    def rates(self):
        """Returns for each row its rates in examples a second, one for every repeat, and for each
        that is near to `student.fit` its rates over those, one for every pair."""
        rows = {row: self.make(row) for row in self.rows()}
        for model, data in rows.values():
            model.fit(data, epochs=2, verbose=0)
        gc.collect()
        gc.freeze()  # else collecting what all these models hold falls into some row's time
        found = {row: [] for row in rows}
        for repeat in range(self.settings.repeats):
            order = list(rows) if repeat % 2 == 0 else list(rows)[::-1]
            for row in order:
                found[row].append(self._epoch(rows[row]))
        return found, {row: self._beside(rows, row) for row in rows if row in NEAR}

    def near(self):
        """Returns for rows from a cache their rates over those of `student.fit`, one a pair."""
        names = [PLAIN, MEMORY, DISK, *([TOP] if TOP in self.rows() else [])]
        rows = {row: self.make(row) for row in names}
        for model, data in rows.values():
            model.fit(data, epochs=2, verbose=0)
        gc.collect()
        gc.freeze()
        return {row: self._beside(rows, row) for row in names[1:]}

    def _beside(self, rows, row):
        """Returns a row's rates over those of what it is near to, in turns."""
        ratios = []
        for pair in range(self.settings.pairs):
            order = (NEAR[row], row) if pair % 2 == 0 else (row, NEAR[row])
            rate = {each: self._epoch(rows[each]) for each in order}
            ratios.append(rate[row] / rate[NEAR[row]])
        return ratios

    def _epoch(self, row):
        model, data = row
        return self._rate(lambda: model.fit(data, verbose=0))

    def labelling(self):
        """Returns how many were labelled, and the medians of labels a second and of their ratio to
        the best `predict`."""
        copies = 1 if self.settings.small else -(-LABELLED // len(self.x))
        x = np.concatenate([self.x] * copies)

        examples = tf.data.Dataset.from_tensor_slices(x)

        def predict_rate(size, count):
            data = without_autotune(examples.take(count).batch(size).prefetch(2))
            return self._rate(lambda: self.teacher.predict(data, verbose=0), count)

        few = min(TRIED, len(x))
        best = max((64, 256), key=lambda size: max(predict_rate(size, few) for _ in range(2)))
        rates, ratios, start = [], [], time.perf_counter()
        while not rates or (len(rates) < 3 and time.perf_counter() - start < LONG):
            cache = keras_kd.TeacherCache(self.folder / f"labelling-{len(rates)}", self.teacher)
            rates.append(self._rate(lambda c=cache: c.label(examples, batch_size=best), len(x)))
            ratios.append(rates[-1] / predict_rate(best, len(x)))
        return len(x), float(np.median(rates)), float(np.median(ratios)), best

    def teacher_rate(self, dtype):
        """Examples a second of the teacher alone in a precision, as the step runs it."""
        from keras_kd.teachers.in_dtype import in_dtype

        running = in_dtype(self.teacher, dtype)
        step = tf.function(lambda x: running(x, training=False))
        batches = [
            tf.constant(self.x[i : i + self.settings.batch_size])
            for i in range(0, len(self.x), self.settings.batch_size)
        ]
        step(batches[0])

        def run():
            for batch in batches:
                step(batch)

        return max(self._rate(run) for _ in range(min(3, self.settings.repeats)))

    def _cached(self, row, data):
        augment, views = (self.pair.augment, 4) if row == VIEWS else (None, 1)
        top_k = 3 if row == TOP else None
        path = self.folder / row.replace(" ", "-").replace(",", "")
        cache = keras_kd.TeacherCache(path, self.teacher, top_k=top_k)
        labelled = cache.label(data, augment=augment, views=views)
        self.bytes[row] = cache.bytes_per_example * views
        return labelled

    def _rate(self, run, examples=None):
        start = time.perf_counter()
        run()
        return (examples or len(self.x)) / (time.perf_counter() - start)


def peak_memory(pair, row, options):
    """Returns the peak resident memory in MiB of a process that fits one row."""
    command = [sys.executable, __file__, "--pair", pair, "--row", row]
    if options.data_dir:
        command += ["--data-dir", options.data_dir]
    if options.small:
        command.append("--small")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def table(name, options, settings):
    """Measures one pair and returns its lines."""
    pair = PAIRS[name]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pair, settings, options.data_dir, folder)
        rates, beside = bench.rates()
        labelled, label_rate, label_ratio, best = bench.labelling()
        teachers = {LIVE: bench.teacher_rate(None), LIVE_HALF: bench.teacher_rate("bfloat16")}
    middle = {row: float(np.median(found)) for row, found in rates.items()}
    bounds = {row: 1.0 / (1.0 / rate + 1.0 / middle[PLAIN]) for row, rate in teachers.items()}
    lines = []
    for row in rates:
        against = THEIRS_INSIDE if row in (INSIDE, THEIRS_INSIDE) else THEIRS
        base = PLAIN_AUGMENTED if row in (VIEWS, PLAIN_AUGMENTED) else PLAIN
        cached = row in bench.bytes
        views = 4 if row == VIEWS else 1
        labelling = views * pair.examples / label_rate if cached else 0.0
        lines.append(
            [
                row,
                f"{middle[row]:,.0f}",
                ratio(beside[row]) if row in beside else ratio(rates[row], rates[base]),
                ratio(rates[row], rates[against]),
                f"{middle[row] / bounds[row]:.2f}" if row in bounds else "",
                f"{peak_memory(name, row, options):,}" if row in WEIGHED else "",
                bench.bytes.get(row, ""),
                *(duration(labelling + n * pair.examples / middle[row]) for n in (1, 10, 100)),
            ]
        )
    return [
        f"## {pair.name}",
        "",
        f"Batches of {settings.batch_size}, {settings.steps or pair.steps} steps an epoch, "
        f"{settings.repeats} repeats, {settings.pairs} of rows from a cache beside `student.fit`. "
        f"The teacher alone: {teachers[LIVE]:,.0f} examples/s in float32, "
        f"{teachers[LIVE_HALF]:,.0f} in bfloat16. Labelling {labelled:,} examples: "
        f"{label_rate:,.0f} examples/s, {label_ratio:.2f} of `teacher.predict` at its best batch "
        f"size ({best}).",
        "",
        *markdown_table(
            [
                [
                    "row",
                    "examples/s",
                    "to `student.fit`",
                    "to Keras' distiller",
                    "of its bound",
                    "peak MiB",
                    "bytes/example",
                    "1 epoch",
                    "10 epochs",
                    "100 epochs",
                ],
                *lines,
            ]
        ).splitlines(),
        "",
    ]


def near_lines(options, settings):
    """Measures the rows from a cache of all pairs, and returns their table."""
    names = (MEMORY, DISK, TOP)
    lines = [["pair", *names]]
    for pair in PAIRS.values():
        with tempfile.TemporaryDirectory() as folder:
            found = Bench(pair, settings, options.data_dir, folder).near()
        lines.append([pair.name, *(ratio(found[row]) if row in found else "" for row in names)])
    return [
        "## From a cache",
        "",
        f"Rates over that of `student.fit`, {settings.pairs} epochs of each beside one of that: "
        "the median, and the middle half.",
        "",
        *markdown_table(lines).splitlines(),
        "",
    ]


def ratio(rates, base=1.0):
    """Median over repeats, and their middle half."""
    low, middle, high = np.quantile(np.asarray(rates) / np.asarray(base), (0.25, 0.5, 0.75))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def duration(seconds):
    return f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"


def storage_lines(settings):
    """What reading, writing and labelling many examples cost."""
    few, many = (10_000, 20_000) if settings.small else (100_000, 1_000_000)
    memory = {}
    for examples in (few, many):
        command = [sys.executable, __file__, "--label", str(examples)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        memory[examples] = int(done.stdout.split()[-1])
    count = few if settings.small else 4 * few
    return [
        "## Storage",
        "",
        reading_line(count, min(5, settings.repeats)),
        f"- peak memory of labelling {few:,} examples: {memory[few]:,} MiB; {many:,} examples: "
        f"{memory[many]:,} MiB, {memory[many] / memory[few]:.2f} of it",
        "",
        *format_lines(count, min(5, settings.repeats)),
    ]


def label_many(count):
    """Labels `count` examples and prints the peak memory of this process in MiB."""
    weights = np.random.default_rng(0).normal(size=(32, 10)).astype("float32")
    data = tf.data.Dataset.range(count).map(lambda i: tf.fill((32,), tf.cast(i, tf.float32) / 1e6))
    with tempfile.TemporaryDirectory() as folder:
        keras_kd.TeacherCache(folder, lambda x: x @ weights).label(data, batch_size=1024)
    print_peak()


def print_peak():
    """Prints this process' peak; `getrusage` would give that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) // 1024)


def main(arguments=None):
    """Runs the benchmark and prints its page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", default=os.environ.get("KERAS_KD_DATA_DIR"))
    parser.add_argument("--small", action="store_true", help="few steps and one repeat")
    parser.add_argument("--pair", choices=PAIRS, help="this pair alone")
    parser.add_argument("--near", action="store_true", help="time rows from a cache alone")
    parser.add_argument("--row", help="fit this row once and print the process' peak memory")
    parser.add_argument("--import-alone", action="store_true", help="time `import keras_kd` alone")
    parser.add_argument("--label", type=int, help="label so many examples, and print the same")
    options = parser.parse_args(arguments)
    settings = Settings(16, 2, repeats=1, pairs=1, small=True) if options.small else Settings()
    if options.import_alone:
        print("\n".join([*import_lines(5), *setup_lines("benchmarks/speed.py --import-alone")]))
        return
    if options.near:
        print(
            "\n".join([*near_lines(options, settings), *setup_lines("benchmarks/speed.py --near")])
        )
        return
    if options.label:
        label_many(options.label)
        return
    if options.row:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(PAIRS[options.pair], settings, options.data_dir, folder)
            model, data = bench.make(options.row)
            model.fit(data, epochs=2, verbose=0)
            print_peak()
        return
    for name in [options.pair] if options.pair else PAIRS:
        print("\n".join(table(name, options, settings)), flush=True)
    if not options.pair:
        print("\n".join(storage_lines(settings)), flush=True)
        print("\n".join(teacher_lines(min(5, settings.repeats), options.small)), flush=True)
        print("\n".join(xla_lines(min(3, settings.repeats), options.small)), flush=True)
        print("\n".join(import_lines(1 if options.small else 5)), flush=True)
    print("\n".join(setup_lines("benchmarks/speed.py")))


if __name__ == "__main__":
    main()

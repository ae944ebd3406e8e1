"""The demo: `python -m keras_kd` distils on real data, exports the student, and reports."""

import argparse
import contextlib
import logging
import pathlib
import sys

import keras
import numpy as np

try:
    import tqdm
except ImportError as error:
    raise ImportError('The demo needs more: `pip install "keras_kd[demo]"`.') from error

import keras_kd
from keras_kd.checks import check_fraction, check_temperature
from keras_kd.data import digits, image_classification
from keras_kd.evaluation.run_report import Section, markdown_table, write_report
from keras_kd.evaluation.table_column import milliseconds, size
from keras_kd.models import cnn, mlp

EXPORTS = {
    "SavedModel": ("student_saved_model", None),
    "TFLite float32": ("student_float32.tflite", None),
    "TFLite float16": ("student_float16.tflite", "float16"),
    "TFLite int8": ("student_int8.tflite", "int8"),
}
BATCH_SIZE = 64
TEACHER_RATE, STUDENT_RATE = 3e-3, 1e-2


def main(arguments=None) -> int:
    """Runs the demo; returns the exit status."""
    options = _parse(arguments)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # retracing between models is no news
    try:
        data = _load(options)
        folder = _new_folder(options)
    except (OSError, ValueError) as error:
        print(f"keras_kd: {error}", file=sys.stderr)
        return 2
    run = Run(data, folder, options)
    status = 0
    try:
        run.train()
        run.export()
    except KeyboardInterrupt:
        status = 130
        print("\nInterrupted: what is finished stays.", file=sys.stderr)
    run.report(interrupted=status != 0)
    return status


class Run:
    """One demo: a teacher, students alone and distilled, exports, a report.

    Args:
        data: A `keras_kd.data.ImageData`.
        folder: Where everything is written.
        options: The parsed command line.
    """

    def __init__(self, data, folder, options):
        self.data, self.folder, self.options = data, folder, options
        self.models = {}  # name: trained model
        self.exports = []  # (label, ExportResult)
        self.epochs = options.epochs or int(np.clip(60_000 // len(data.train), 3, 60))
        self.tiny_images = min(data.image_shape[:2]) < 16
        shuffled = data.train.shuffle(min(len(data.train), 10_000), seed=0)
        self.train_batches = shuffled.batch(BATCH_SIZE).prefetch(2)
        self.validation = data.validation.batch(500)
        self.test = data.test.batch(500)

    def train(self):
        """Trains the teacher once, and the student alone and distilled for every seed."""
        seeds = range(self.options.seeds)
        print(
            f"{self.data.name}: {len(self.data.train)} examples to train on, "
            f"{len(self.data.test)} to test; {self.epochs} epochs"
        )
        total = self.epochs * (1 + 2 * len(seeds))
        with tqdm.tqdm(total=total, unit="epoch", dynamic_ncols=True) as bar:
            keras.utils.set_random_seed(0)
            teacher = self._teacher()
            self._fit(teacher, "teacher", bar)
            for seed in seeds:
                for kind in ("alone", "distilled"):
                    # The same first weights and the same order of examples for both kinds.
                    keras.utils.set_random_seed(seed + 1)
                    student = self._student()
                    name = f"student {kind}, seed {seed}"
                    self._fit(student, name, bar, teacher if kind == "distilled" else None)

    def export(self):
        """Exports the distilled student that does best on the validation split."""
        students = {n: m for n, m in self.models.items() if "distilled" in n}
        best = max(students, key=lambda name: self._validation_accuracy(students[name]))
        print(f"Exporting '{best}', the best of its kind on the validation split:")
        for label, (file, quantize) in EXPORTS.items():
            result = keras_kd.export_student(
                students[best],
                self.folder / "models" / file,
                quantize=quantize,
                calibration_data=self.data.train.take(500).batch(50) if quantize else None,
                verify_data=self.test,
            )
            self.exports.append((label, result))

    def report(self, interrupted=False):
        """Writes the report of what is finished and prints its table."""
        if not self.models:
            return
        compared = keras_kd.compare(
            self.models, self.test, reference="teacher" if "teacher" in self.models else None
        )
        table = [*self._summary(compared.rows), *self._export_rows()]
        compared.plot(self.folder / "comparison.png")
        options = self.options
        text = (
            f"{len(self.data.test)} test examples, {self.epochs} epochs, "
            f"temperature {options.temperature:g}, alpha {options.alpha:g}. Mean and standard "
            "deviation over the students' seeds; the teacher is one net. Agreement: share of "
            "examples on which a model decides as the teacher does. Latency: median of one "
            "example, of exports in their own runtime."
        )
        if interrupted:
            text += " The run was interrupted; what it had finished is here."
        sections = [
            Section("Result", f"{self._verdict(compared.rows)} {text}", table),
            Section("Every model", "", _cells(compared), self.folder / "comparison.png"),
        ]
        if self.exports:
            lines = [["Export", "Largest difference", "Agreement", "Accuracy", "Change"]]
            lines += [
                [
                    label,
                    f"{r.max_difference:.2g}",
                    f"{r.agreement:.4f}",
                    f"{100 * r.export_metric:.2f} %",
                    f"{100 * r.metric_change:+.2f}",
                ]
                for label, r in self.exports
            ]
            sections.append(Section("Exports against the student they came from", "", lines))
        paths = write_report(self.folder, f"Distillation on {self.data.name}", sections)
        print(f"\n{markdown_table(table)}\n\n{self._verdict(compared.rows)}")
        print("Written: " + ", ".join(str(path) for path in (*paths, self.folder / "models")))

    def _teacher(self):
        return cnn(
            self.data.image_shape,
            self.data.num_classes,
            width=32,
            stages=2 if self.tiny_images else 3,
            depth=2,
            dropout=0.2,
            name="teacher",
        )

    def _student(self):
        shape, classes = self.data.image_shape, self.data.num_classes
        if self.tiny_images:
            return mlp(shape, classes, hidden=(16,), name="student")
        return cnn(shape, classes, width=8, name="student")

    def _fit(self, model, name, bar, teacher=None):
        rate = TEACHER_RATE if name == "teacher" else STUDENT_RATE
        steps = self.epochs * -(-len(self.data.train) // BATCH_SIZE)
        trained = (
            model
            if teacher is None
            else keras_kd.Distiller(
                model, teacher, alpha=self.options.alpha, temperature=self.options.temperature
            )
        )
        trained.compile(
            keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        bar.set_description(name)

        def tick(epoch, logs):
            bar.set_postfix(accuracy=f"{logs['accuracy']:.3f}", refresh=False)
            bar.update()

        tick = keras.callbacks.LambdaCallback(on_epoch_end=tick)
        trained.fit(self.train_batches, epochs=self.epochs, verbose=0, callbacks=[tick])
        self.models[name] = model
        path = self.folder / "models" / (name.replace(", ", "_").replace(" ", "_") + ".keras")
        model.save(path)

    def _validation_accuracy(self, student):
        labels = np.concatenate([y for _, y in self.validation.as_numpy_iterator()])
        return np.mean(student.predict(self.validation, verbose=0).argmax(-1) == labels)

    def _kinds(self, rows):
        kinds = {}
        for row in rows:
            kinds.setdefault(row["model"].split(",")[0], []).append(row)
        return kinds

    def _summary(self, rows):
        table = [
            [
                "Model",
                "Accuracy %",
                "Macro F1 %",
                "Agreement %",
                "Parameters",
                "File size",
                "Latency ms",
            ]
        ]
        for kind, found in self._kinds(rows).items():
            table.append(
                [
                    kind,
                    *(
                        _mean_and_sd([row.get(key) for row in found])
                        for key in ("accuracy", "f1", "agreement")
                    ),
                    f"{found[0]['parameters']:,}",
                    size(found[0]["size_bytes"]),
                    milliseconds(np.median([row["latency_ms_batch1"] for row in found])),
                ]
            )
        return table

    def _export_rows(self):
        return [
            [
                f"student as {label}",
                f"{100 * r.export_metric:.2f}",
                "-",
                "-",
                "-",
                size(r.size_bytes),
                milliseconds(r.latency.median),
            ]
            for label, r in self.exports
        ]

    def _verdict(self, rows):
        kinds = self._kinds(rows)
        if not {"student alone", "student distilled"} <= set(kinds):
            return "The students are not finished."
        alone, distilled = (
            100 * np.array([row["accuracy"] for row in kinds[f"student {kind}"]])
            for kind in ("alone", "distilled")
        )
        pairs = min(len(alone), len(distilled))
        gains = distilled[:pairs] - alone[:pairs]
        spread = gains.std(ddof=1) / np.sqrt(pairs) if pairs > 1 else np.inf
        said = f"{gains.mean():+.2f} points over {pairs} paired seeds"
        if abs(gains.mean()) <= 2 * spread:
            return f"Distilling made no clear difference to accuracy: {said}."
        return f"Distilling {'helped' if gains.mean() > 0 else 'did harm'}: {said}."


def _mean_and_sd(values):
    if None in values:
        return "-"
    values = 100 * np.array(values)
    sd = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
    return f"{values.mean():.2f}{sd}"


def _cells(compared):
    lines = compared.to_markdown().splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for index, line in enumerate(lines)
        if index != 1
    ]


def _load(options):
    if options.dataset == "digits":
        return digits()
    try:
        return image_classification(options.dataset, options.data_dir)
    except ValueError as error:
        raise ValueError(f"{error}\nWithout a download there is also: digits") from error


def _new_folder(options):
    """Returns a new folder; an earlier run's is never written into."""
    if options.out is not None:
        folder = pathlib.Path(options.out)
        if folder.exists():
            raise ValueError(f"The folder exists; give another. Received: --out {folder}")
    else:
        names = (
            f"{options.dataset.replace('/', '-')}{end}"
            for end in ("", *(f"-{number}" for number in range(2, 10_000)))
        )
        folder = next(p for name in names if not (p := pathlib.Path("runs") / name).exists())
    (folder / "models").mkdir(parents=True)
    return folder


def _parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m keras_kd",
        description="Trains a teacher, trains the same small student alone and distilled, exports "
        "the distilled student, runs every export, and writes a report to runs/<dataset>/.",
    )
    parser.add_argument(
        "--dataset",
        default="digits",
        help="'digits' (the default: real, no download) or the name of any TFDS "
        "image-classification set",
    )
    parser.add_argument("--data-dir", help="the folder TFDS keeps its sets in")
    parser.add_argument("--epochs", type=_count, help="for every net (default: by the set's size)")
    parser.add_argument("--seeds", type=_count, default=3, help="students of each kind (default 3)")
    parser.add_argument(
        "--temperature", type=_checked(check_temperature), default=4.0, help="above 0 (default 4)"
    )
    parser.add_argument(
        "--alpha",
        type=_checked(check_fraction),
        default=0.1,
        help="weight of the labels, 0 to 1 (default 0.1)",
    )
    parser.add_argument("--out", help="a new folder (default: runs/<dataset>)")
    return parser.parse_args(arguments)


def _count(text):
    with contextlib.suppress(ValueError):
        if int(text) > 0:
            return int(text)
    raise argparse.ArgumentTypeError(f"a whole number above 0 was expected. Received: {text!r}")


def _checked(check):
    def convert(text):
        try:
            return check(float(text))
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


if __name__ == "__main__":
    sys.exit(main())

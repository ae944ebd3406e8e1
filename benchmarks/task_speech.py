"""Spoken digits: a convolutional net teaches one that fits a microcontroller.

    python benchmarks/task_speech.py --data-dir DIR           # prints its section of tasks.md
    python benchmarks/task_speech.py --data-dir DIR --small   # a minute

Both listen to samples at 8 kHz; the log-mel front end is part of the models, and leaves with the
student. The teacher labels the recordings once. What was trained is kept in the cache folder, so a
stopped run continues.
"""

import contextlib
import dataclasses
import functools
import math
import sys
import tempfile
from pathlib import Path

import keras
from fitted import fitted
from sklearn.metrics import accuracy_score, f1_score
from task_bench import TaskBench, mean_and_sd, task_options

import keras_kd
from keras_kd.data import spoken_digits
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.losses import FitNetLoss
from keras_kd.models import speech_cnn, speech_ds_cnn

SCRIPT = "benchmarks/task_speech.py"
COLUMNS = {"accuracy": "accuracy in %", "f1": "macro F1 in %"}
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything, for one way to split."""

    test_speakers: tuple = ()
    recordings: int = 1_200
    test_recordings: int | None = None
    teacher_width: int = 16
    student_widths: tuple = (8, 12, 16, 24)
    teacher_epochs: int = 12
    epochs: int = 30
    batch_size: int = 32
    teacher_rate: float = 2e-3
    learning_rate: float = 4e-3
    alpha: float = 0.1
    temperature: float = 4.0
    feature_weight: float = 1.0
    seeds: tuple = (0, 1, 2)


FULL = (Settings(), Settings(test_speakers=("theo", "yweweler")))
SMALL = (
    Settings(
        recordings=64,
        test_recordings=64,
        teacher_width=4,
        student_widths=(4, 4),
        teacher_epochs=1,
        epochs=1,
        seeds=(0,),
    ),
)


class Speech:
    """The recordings, the teacher with its answers, and the training of a student."""

    def __init__(self, bench, data):
        self.bench, self.settings, self.data = bench, bench.settings, data
        self.train = data.train.take(self.settings.recordings).cache()
        samples, labels = data.arrays("test")
        count = self.settings.test_recordings
        self.test = samples[:count], labels[:count]

    @functools.cached_property
    def teacher(self):
        """The trained teacher."""
        return self.bench.teacher(self._train_teacher)

    @functools.cached_property
    def answers(self):
        """The training recordings with the teacher's answers and its pooled features."""
        cache = keras_kd.TeacherCache(self.bench.file("answers", ""), self.teacher, layers=["pool"])
        return cache.label(self.train)

    def net(self, name="student"):
        """Returns a new student."""
        return speech_ds_cnn(
            self.data.length,
            self.data.num_classes,
            widths=self.settings.student_widths,
            sampling_rate=self.data.sampling_rate,
            name=name,
        )

    def trained(self, seed, **distiller):
        """Returns a student after its training, alone or with the Distiller's arguments."""
        settings = self.settings
        student = model = self.net()
        if distiller:
            model = keras_kd.Distiller(student, **distiller)
        fitted(
            model,
            self._batches(self.answers if distiller else self.train, seed),
            CROSS_ENTROPY,
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
        )
        return student

    def quality(self, model):
        """Returns accuracy and macro F1 on the test recordings, in %."""
        samples, labels = self.test
        found = model.predict(samples, batch_size=64, verbose=0).argmax(-1)
        return {
            "accuracy": 100.0 * accuracy_score(labels, found),
            "f1": 100.0 * f1_score(labels, found, average="macro", zero_division=0.0),
        }

    def _train_teacher(self):
        settings = self.settings
        teacher = speech_cnn(
            self.data.length,
            self.data.num_classes,
            width=settings.teacher_width,
            sampling_rate=self.data.sampling_rate,
            name="teacher",
        )
        return fitted(
            teacher,
            self._batches(self.train, 0),
            CROSS_ENTROPY,
            epochs=settings.teacher_epochs,
            learning_rate=settings.teacher_rate,
        )

    def _batches(self, data, seed):
        return data.shuffle(len(self.train), seed=seed).batch(self.settings.batch_size)


def rows(speech):
    """Returns the Distiller's arguments of each row."""
    settings = speech.settings
    kd = {"alpha": settings.alpha, "temperature": settings.temperature}
    pooled = FitNetLoss(layers={"pool": "pool"}, weight=settings.feature_weight)
    return {"student alone": {}, "KD": kd, "KD and FitNet": {**kd, "feature_losses": [pooled]}}


def table(speech):
    """Returns the table of the teacher and all students."""
    trainings = {
        name: lambda seed, kd=kd: speech.quality(speech.trained(seed, **kd))
        for name, kd in rows(speech).items()
    }
    taught = speech.quality(speech.teacher)
    first = ["teacher", *(mean_and_sd([taught[key]]) for key in COLUMNS)]
    return speech.bench.table(trainings, COLUMNS, [first])


def exports(speech):
    """Returns the table of the files that one distilled student leaves in."""
    student = speech.bench.teacher(lambda: speech.trained(0, **rows(speech)["KD"]), "KD to export")
    lines = [["file", "size in kB", "accuracy in %", "agreement in %", "ms a second of sound"]]
    calibration = speech.train.batch(32)
    for quantize in (None, "float16", "int8"):
        # `export_student` prints a line of its own, which is no part of the page.
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
            result = keras_kd.export_student(
                student,
                Path(folder) / "student.tflite",
                quantize=quantize,
                calibration_data=calibration if quantize == "int8" else None,
                verify_data=speech.test,
            )
        lines.append(
            [
                f".tflite, {quantize or 'float32'}",
                f"{result.size_bytes / 1e3:.1f}",
                f"{100 * result.student_metric:.2f} -> {100 * result.export_metric:.2f}",
                f"{100 * result.agreement:.2f}",
                f"{result.latency.median:.2f}",
            ]
        )
    return markdown_table(lines)


def about(speech):
    """Returns a paragraph on one way to split."""
    settings, student = speech.settings, speech.net()
    sizes = f"{len(speech.train):,} / {len(speech.test[1]):,}"
    trainable = sum(math.prod(weight.shape) for weight in student.trainable_variables)
    split = (
        f"all recordings of {' and '.join(settings.test_speakers)} are the test split: their "
        "voices are known to neither teacher nor student"
        if settings.test_speakers
        else "each speaker's recordings 0 to 4 of each digit are the test split, as the set's "
        "authors have it"
    )
    others = "the others'" if settings.test_speakers else "their"
    return (
        f"`spoken_digit`, {sizes} recordings to train and test, of one second at 8 kHz (padded or "
        f"cut): {split}; {others} recordings 5 to 9, for "
        f"validation, and those to train on beyond {settings.recordings:,} are not used. Teacher: "
        f"convolutional, {speech.teacher.count_params():,} parameters, {settings.teacher_epochs} "
        f"epochs. Student: depthwise-separable, {student.count_params():,} parameters "
        f"({trainable:,} of them trained), {settings.epochs} epochs. Adam with cosine decay from "
        f"{settings.teacher_rate:g} (teacher) and {settings.learning_rate:g} (students), batches "
        f"of {settings.batch_size}. Distilled from a `TeacherCache`: alpha {settings.alpha:g}, T "
        f"{settings.temperature:g}, the defaults, and `FitNetLoss` of weight "
        f"{settings.feature_weight:g} between the pooled features, all fixed beforehand. "
        f"Mean ± standard deviation over seeds {settings.seeds}; the teacher was trained once."
    )


def main(arguments=None):
    """Runs the task and prints its section."""
    options = task_options(__doc__, arguments)
    print("## Speech: spoken digits\n")
    for settings in SMALL if options.small else FULL:
        data = spoken_digits(options.data_dir, test_speakers=settings.test_speakers)
        speech = Speech(TaskBench(SCRIPT, settings, options), data)
        print(f"### {'New speakers' if settings.test_speakers else 'New recordings'}\n")
        print(f"{about(speech)}\n\n{table(speech)}\n", flush=True)
        if not settings.test_speakers:
            print("What one KD student leaves in, run by LiteRT on the test recordings:\n")
            print(f"{exports(speech)}\n", flush=True)
    speech.bench.print_setup()


if __name__ == "__main__":
    main()

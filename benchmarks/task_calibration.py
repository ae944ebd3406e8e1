"""A teacher that is too sure: taught as it is, and through mappings learned on held-out labels.

    python benchmarks/task_calibration.py --data-dir DIR   # prints its section of tasks.md
    python benchmarks/task_calibration.py --small          # half a minute, on scikit-learn's digits

The teacher learns its few images by heart; the student sees others, and what it says of them.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from fitted import fitted
from task_bench import TaskBench, mean_and_sd, sets_of, task_options

import keras_kd
from keras_kd.data import digits, image_classification
from keras_kd.evaluation.expected_calibration_error import ExpectedCalibrationError
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.losses import KDLoss, MappedKDLoss
from keras_kd.models import cnn
from keras_kd.teachers import OutputMapping, fit_mapping

SCRIPT = "benchmarks/task_calibration.py"
KINDS = (None, "temperature", "vector", "matrix", "net")
COLUMNS = {"accuracy": "student's accuracy in %", "ece": "calibration error in %", "nll": "NLL"}
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything, on one data set."""

    data: str = "digits"
    labelled: int = 300
    unlabelled: int = 777
    teacher_width: int = 16
    student_width: int = 4
    stages: int = 2
    teacher_epochs: int = 150
    epochs: int = 60
    batch_size: int = 64
    rate: float = 8e-3
    temperatures: tuple = (1.0, 4.0)
    seeds: tuple = (0, 1, 2, 3, 4)


FULL = (
    Settings(),
    Settings(
        "cifar10",
        labelled=2_000,  # with 10,000, and 25 epochs, a teacher is calibrated: 2.2 % on test data
        unlabelled=20_000,
        teacher_width=32,
        student_width=8,
        stages=3,
        teacher_epochs=80,
        epochs=12,
        rate=4e-3,
        seeds=(0, 1, 2),
    ),
)
SMALL = (Settings(teacher_epochs=2, epochs=1, temperatures=(1.0,), seeds=(0,)),)


class Calibration:
    """The data, the teacher, its mappings and the students.

    Args:
        settings: The `Settings`.
        options: What `task_options` returned.
    """

    def __init__(self, settings, options):
        self.settings, self.bench = settings, TaskBench(SCRIPT, settings, options)
        small = settings.data == "digits"
        data = digits() if small else image_classification(settings.data, options.data_dir)
        self.shape = data.image_shape
        x, y = data.arrays("train")
        first, last = settings.labelled, settings.labelled + settings.unlabelled
        self.labelled, self.unlabelled = (x[:first], y[:first]), x[first:last]
        x, y = data.arrays("validation")
        half = len(y) // 2
        self.held_out, self.validation = (x[:half], y[:half]), (x[half:], y[half:])
        self.test = data.arrays("test")
        self.teacher = self.bench.teacher(self._trained_teacher)
        self.answers = {
            name: self.teacher.predict(images, batch_size=500, verbose=0)
            for name, images in (
                ("unlabelled", self.unlabelled),
                ("held out", self.held_out[0]),
                ("validation", self.validation[0]),
                ("test", self.test[0]),
            )
        }
        self.mappings = {kind: self._learned(kind) for kind in KINDS}

    def student(self, kind, temperature):
        """Returns what trains a student on what a mapping makes of the teacher's answers."""
        mapping = self.mappings[kind]
        loss = KDLoss() if mapping is None else MappedKDLoss(mapping)

        def train(seed):
            student = self._net(self.settings.student_width)
            distiller = keras_kd.Distiller(
                student, alpha=0.0, temperature=temperature, kd_loss=loss
            )
            x = {"inputs": self.unlabelled, "teacher_outputs": self.answers["unlabelled"]}
            batches = tf.data.Dataset.from_tensor_slices(x).shuffle(len(self.unlabelled), seed=seed)
            fitted(
                distiller,
                batches.batch(self.settings.batch_size),
                None,
                epochs=self.settings.epochs,
                learning_rate=self.settings.rate,
            )
            figures = {
                split: _figures(student.predict(images, batch_size=500, verbose=0), labels)
                for split, (images, labels) in (("test", self.test), ("valid", self.validation))
            }
            return figures["test"] | {"validation": figures["valid"]["accuracy"]}

        return train

    def teacher_figures(self, kind):
        """Returns the figures of the teacher's mapped answers on the test data."""
        answers = self.answers["test"]
        if self.mappings[kind] is not None:
            answers = keras.ops.convert_to_numpy(self.mappings[kind](answers))
        return _figures(answers, self.test[1])

    def _learned(self, kind):
        if kind is None:
            return None
        mapping = OutputMapping(kind, classes=10)
        keras.utils.set_random_seed(0)
        fit_mapping(mapping, (self.answers["held out"], self.held_out[1]), from_logits=True)
        return mapping

    def _net(self, width):
        return cnn(self.shape, 10, width=width, stages=self.settings.stages)

    def _trained_teacher(self):
        x, y = self.labelled
        batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(y), seed=0)
        return fitted(
            self._net(self.settings.teacher_width),
            batches.batch(self.settings.batch_size),
            CROSS_ENTROPY,
            epochs=self.settings.teacher_epochs,
            learning_rate=self.settings.rate,
        )


def _figures(logits, labels):
    logs = np.asarray(keras.ops.log_softmax(np.asarray(logits, "float64")))
    calibration = ExpectedCalibrationError()
    calibration.update_state(labels, np.exp(logs))
    return {
        "accuracy": 100.0 * float(np.mean(logs.argmax(-1) == labels)),
        "ece": 100.0 * float(calibration.result()),
        "nll": float(-logs[np.arange(len(labels)), labels].mean()),
    }


def tables(task):
    """Returns the table of the teacher's answers and that of the students."""
    settings, bench = task.settings, task.bench
    teachers = [["the teacher's answers", "accuracy in %", "calibration error in %", "NLL"]]
    students = [["student of the answers", "T", *COLUMNS.values()]]
    for kind in KINDS:
        name = "as they are" if kind is None else f"mapped, {kind}"
        found = task.teacher_figures(kind)
        teachers.append([name, *(f"{found[key]:.2f}" for key in COLUMNS)])
        tried = {
            temperature: bench.figures(
                f"{name}, T {temperature:g}", settings.seeds[0], task.student(kind, temperature)
            )["validation"]
            for temperature in settings.temperatures
        }
        best = max(tried, key=tried.get)
        train = task.student(kind, best)
        kept = [bench.figures(f"{name}, T {best:g}", seed, train) for seed in settings.seeds]
        cells = (mean_and_sd([each[key] for each in kept]) for key in COLUMNS)
        students.append([name, f"{best:g}", *cells])
    return markdown_table(teachers), markdown_table(students)


def main(arguments=None):
    """Runs the task and prints its section."""
    options = task_options(__doc__, arguments)
    print("## Calibration: a teacher that is too sure\n")
    for settings in sets_of(SMALL if options.small else FULL, options):
        task = Calibration(settings, options)
        teachers, students = tables(task)
        print(
            f"### {settings.data}\n\nTeacher: {task.teacher.count_params():,} parameters, "
            f"{settings.teacher_epochs} epochs on {settings.labelled:,} labelled images. Student: "
            f"{task._net(settings.student_width).count_params():,} parameters, {settings.epochs} "
            f"epochs on {settings.unlabelled:,} others without labels (alpha 0), Adam "
            f"{settings.rate:g} with cosine decay. Mappings learned on {len(task.held_out[1]):,} "
            f"held-out labels; T chosen of {settings.temperatures} by accuracy on "
            f"{len(task.validation[1]):,} others, first seed. {len(task.test[1]):,} test images; "
            f"mean ± standard deviation over seeds {settings.seeds}, teacher and mappings the "
            f"same.\n\n{teachers}\n\n{students}\n",
            flush=True,
        )
    task.bench.print_setup()


if __name__ == "__main__":
    main()

"""Digits of which some are rare: what weights, sampling and a balanced teacher bring.

    python benchmarks/task_imbalance.py --data-dir DIR   # prints its section of tasks.md
    python benchmarks/task_imbalance.py --small          # seconds, on scikit-learn's digits

The teachers see the same few examples as the students, and label them once. What was trained is
kept in the cache folder, so a stopped run continues.
"""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf
from fitted import fitted
from sklearn.metrics import f1_score, recall_score
from sklearn.utils.class_weight import compute_class_weight
from task_bench import TaskBench, mean_and_sd, task_options

import keras_kd
from keras_kd.data import balanced_classes, digits, image_classification, long_tail
from keras_kd.models import cnn

SCRIPT = "benchmarks/task_imbalance.py"
PLAIN, BALANCED = "teacher", "teacher, balanced sampling"
COLUMNS = {
    "rare": "recall of 7, 8, 9 in %",
    "frequent": "recall of 0, 1, 2 in %",
    "accuracy": "accuracy in %",
    "f1": "macro F1 in %",
}
RARE, FREQUENT = [7, 8, 9], [0, 1, 2]
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    largest: int = 1_000
    ratio: float = 0.01
    teacher_width: int = 16
    student_width: int = 8
    stages: int = 3
    teacher_epochs: int = 12
    epochs: int = 15
    batch_size: int = 64
    teacher_rate: float = 2e-3
    learning_rate: float = 4e-3
    alpha: float = 0.1
    temperature: float = 4.0
    seeds: tuple = (0, 1, 2)


SMALL = Settings(
    largest=50, ratio=0.04, teacher_width=8, stages=2, teacher_epochs=1, epochs=1, seeds=(0,)
)


class Imbalance:
    """The data, the two teachers with their answers, and the training of a student."""

    def __init__(self, bench, data):
        self.bench, self.settings, self.shape = bench, bench.settings, data.image_shape
        images, labels = data.arrays("train")
        rows = long_tail(labels, ratio=self.settings.ratio, largest=self.settings.largest)
        self.labels = labels[rows]
        self.train = tf.data.Dataset.from_tensor_slices((images[rows], self.labels))
        self.test = data.arrays("test")
        weights = compute_class_weight("balanced", classes=np.arange(10), y=self.labels)
        self.class_weight = {number: float(weight) for number, weight in enumerate(weights)}

    @functools.cached_property
    def teachers(self):
        """The teacher that was trained as the data come, and the one on balanced samples."""
        return {
            name: self.bench.teacher(functools.partial(self._train_teacher, name), name)
            for name in (PLAIN, BALANCED)
        }

    @functools.cached_property
    def answers(self):
        """The training data with each teacher's answers; under None, without."""
        labelled = {None: self.train}
        for name, teacher in self.teachers.items():
            cache = keras_kd.TeacherCache(self.bench.file(f"answers of {name}", ""), teacher)
            labelled[name] = cache.label(self.train)
        return labelled

    def student(self, teacher=None, *, sampled=False, weighted=False):
        """Returns what trains a student for a seed.

        Args:
            teacher: Whose answers it hears; None is nobody's.
            sampled: Whether each class comes as often as every other.
            weighted: Whether `fit` is given `class_weight`.
        """

        def train(seed):
            settings = self.settings
            student = model = cnn(
                self.shape, 10, width=settings.student_width, stages=settings.stages
            )
            if teacher is not None:
                model = keras_kd.Distiller(
                    student, alpha=settings.alpha, temperature=settings.temperature
                )
            fitted(
                model,
                self._batches(self.answers[teacher], sampled, seed),
                CROSS_ENTROPY,
                epochs=settings.epochs,
                learning_rate=settings.learning_rate,
                class_weight=self.class_weight if weighted else None,
            )
            return self.quality(student)

        return train

    def quality(self, model):
        """Returns recall, accuracy and macro F1 on the test data, in %."""
        images, labels = self.test
        found = model.predict(images, batch_size=512, verbose=0).argmax(-1)
        recall = recall_score(labels, found, average=None, zero_division=0.0)
        return {
            "rare": 100.0 * recall[RARE].mean(),
            "frequent": 100.0 * recall[FREQUENT].mean(),
            "accuracy": 100.0 * np.mean(found == labels),
            "f1": 100.0 * f1_score(labels, found, average="macro", zero_division=0.0),
        }

    def _train_teacher(self, name):
        settings = self.settings
        teacher = cnn(
            self.shape, 10, width=settings.teacher_width, stages=settings.stages, dropout=0.3
        )
        return fitted(
            teacher,
            self._batches(self.train, name == BALANCED, 0),
            CROSS_ENTROPY,
            epochs=settings.teacher_epochs,
            learning_rate=settings.teacher_rate,
        )

    def _batches(self, dataset, sampled, seed):
        if sampled:
            dataset = balanced_classes(dataset, 10, seed=seed)
        else:
            dataset = dataset.cache().shuffle(len(self.labels), seed=seed)
        return dataset.batch(self.settings.batch_size)


def table(task):
    """Returns the table of both teachers and all students."""
    rows = {
        "student alone": task.student(),
        "student, class weights": task.student(weighted=True),
        "student, balanced sampling": task.student(sampled=True),
        "KD": task.student(PLAIN),
        "KD from the balanced teacher": task.student(BALANCED),
        "KD from the balanced teacher, class weights": task.student(BALANCED, weighted=True),
        "KD from the balanced teacher, balanced sampling": task.student(BALANCED, sampled=True),
    }
    taught = {name: task.quality(teacher) for name, teacher in task.teachers.items()}
    first = [
        [name, *(mean_and_sd([figures[key]]) for key in COLUMNS)]
        for name, figures in taught.items()
    ]
    return task.bench.table(rows, COLUMNS, first)


def main(arguments=None):
    """Runs the task and prints its section."""
    options = task_options(__doc__, arguments)
    settings = SMALL if options.small else Settings()
    data = digits() if options.small else image_classification("mnist", options.data_dir)
    task = Imbalance(TaskBench(SCRIPT, settings, options), data)
    counts = np.bincount(task.labels)
    sizes = {
        width: cnn(data.image_shape, 10, width=width, stages=settings.stages).count_params()
        for width in (settings.teacher_width, settings.student_width)
    }
    print(
        f"## Imbalance: {data.name} with rare digits\n\n"
        f"Training images of the digits 0 to 9: {', '.join(f'{n:,}' for n in counts)} "
        f"({len(task.labels):,} in all). The rare digits are {RARE}, the frequent ones "
        f"{FREQUENT}. Test: {len(task.test[1]):,} images, all digits about as frequent. Teacher: "
        f"convolutional, {sizes[settings.teacher_width]:,} parameters, {settings.teacher_epochs} "
        f"epochs, once as the data come and once with balanced sampling, on these images alone. "
        f"Student: likewise, {sizes[settings.student_width]:,} parameters, {settings.epochs} "
        f"epochs. Adam with cosine decay from {settings.teacher_rate:g} (teacher) and "
        f"{settings.learning_rate:g} (students), batches of {settings.batch_size}; an epoch has as "
        "many images in all rows. Class weights: n / (10 n_c), given to `fit`, which in a "
        "Distiller weigh the labels' and the teacher's loss. Balanced sampling draws every image "
        "from an evenly drawn class. Distilled from a `TeacherCache`: alpha "
        f"{settings.alpha:g}, T {settings.temperature:g}, the defaults. "
        f"Mean ± standard deviation over seeds {settings.seeds}; the teachers were "
        f"trained once.\n\n{table(task)}\n"
    )
    task.bench.print_setup()


if __name__ == "__main__":
    main()

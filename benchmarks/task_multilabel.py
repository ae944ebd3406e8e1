"""Two digits in one picture: a student learns to name both.

    python benchmarks/task_multilabel.py           # prints its section of tasks.md
    python benchmarks/task_multilabel.py --small   # the same in seconds

The pictures are made with fixed seeds from the digits that ship with scikit-learn, those of each
split from its own. The teacher labels them once.
What was trained is kept in the cache folder, so a stopped run continues.
"""

import dataclasses
import functools

import keras
import tensorflow as tf
from fitted import fitted
from task_bench import TaskBench, mean_and_sd, task_options

import keras_kd
from keras_kd.data import digit_pairs, digits
from keras_kd.evaluation.multilabel import multilabel_scores
from keras_kd.losses import BinaryKDLoss
from keras_kd.models import cnn

SCRIPT = "benchmarks/task_multilabel.py"
COLUMNS = {"exact_match": "both digits right in %", "f1": "macro F1 in %", "auc": "macro AUC in %"}
CROSS_ENTROPY = keras.losses.BinaryCrossentropy(from_logits=True)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    pictures: int = 8_000
    test_pictures: int = 2_000
    labelled: int = 1_000
    size: int = 16
    teacher_width: int = 32
    student_width: int = 8
    stages: int = 3
    teacher_epochs: int = 10
    epochs: int = 20
    batch_size: int = 64
    teacher_rate: float = 2e-3
    learning_rate: float = 4e-3
    alpha: float = 0.1
    temperature: float = 4.0
    seeds: tuple = (0, 1, 2)


SMALL = Settings(
    pictures=128, test_pictures=64, labelled=64, teacher_width=8, stages=2,
    teacher_epochs=1, epochs=1, seeds=(0,),
)  # fmt: skip


class DigitPairs:
    """The pictures, the teacher with its answers, and the training of a student."""

    def __init__(self, bench, data):
        self.bench, self.settings = bench, bench.settings
        counts = {"train": self.settings.pictures, "test": self.settings.test_pictures}
        self.splits = {
            split: digit_pairs(*data.arrays(split), count, seed=number, size=self.settings.size)
            for number, (split, count) in enumerate(counts.items())
        }
        self.shape = self.splits["train"][0].shape[1:]
        self.train = tf.data.Dataset.from_tensor_slices(self.splits["train"])

    @functools.cached_property
    def teacher(self):
        """The trained teacher."""
        return self.bench.teacher(self._train_teacher)

    @functools.cached_property
    def answers(self):
        """The training pictures with the teacher's answers."""
        return keras_kd.TeacherCache(self.bench.file("answers", ""), self.teacher).label(self.train)

    def student(self, pictures=None, **distiller):
        """Returns what trains a student for a seed, alone or with the Distiller's arguments.

        Args:
            pictures: How many of the pictures it sees, as many times as makes up for it; None is
                all of them.
            **distiller: For `keras_kd.Distiller`.
        """

        def train(seed):
            settings = self.settings
            student = model = self._net(settings.student_width)
            data = self.train
            if distiller:
                model, data = keras_kd.Distiller(student, **distiller), self.answers
            if distiller.get("alpha") == 0.0:
                data = data.map(lambda x, _: x)
            times = 1 if pictures is None else settings.pictures // pictures
            data = data.take(settings.pictures // times).cache().repeat(times)
            fitted(
                model,
                data.shuffle(settings.pictures, seed=seed).batch(settings.batch_size),
                CROSS_ENTROPY,
                epochs=settings.epochs,
                learning_rate=settings.learning_rate,
            )
            return self.quality(student)

        return train

    def quality(self, model):
        """Returns the figures on the test pictures, in %."""
        pictures, targets = self.splits["test"]
        scores = multilabel_scores(targets, model.predict(pictures, batch_size=512, verbose=0))
        return {key: 100.0 * scores[key] for key in COLUMNS}

    def _train_teacher(self):
        settings = self.settings
        return fitted(
            self._net(settings.teacher_width, dropout=0.3),
            self.train.cache().shuffle(settings.pictures, seed=0).batch(settings.batch_size),
            CROSS_ENTROPY,
            epochs=settings.teacher_epochs,
            learning_rate=settings.teacher_rate,
        )

    def _net(self, width, dropout=0.0):
        return cnn(self.shape, 10, width=width, stages=self.settings.stages, dropout=dropout)


def table(task):
    """Returns the table of the teacher and all students."""
    settings = task.settings
    few = settings.labelled
    rows = {"student alone": task.student()}
    for t in (1.0, settings.temperature):
        rows[f"KD, T {t:g}"] = task.student(alpha=settings.alpha, kd_loss=BinaryKDLoss(t))
    kd = {"kd_loss": BinaryKDLoss(settings.temperature)}
    rows["KD, no labels"] = task.student(alpha=0.0, **kd)
    rows[f"student alone, {few:,} pictures"] = task.student(pictures=few)
    rows[f"KD, {few:,} pictures"] = task.student(pictures=few, alpha=settings.alpha, **kd)
    taught = task.quality(task.teacher)
    first = ["teacher", *(mean_and_sd([taught[key]]) for key in COLUMNS)]
    return task.bench.table(rows, COLUMNS, [first])


def main(arguments=None):
    """Runs the task and prints its section."""
    options = task_options(__doc__, arguments)
    settings = SMALL if options.small else Settings()
    data = digits()
    task = DigitPairs(TaskBench(SCRIPT, settings, options), data)
    height, width = task.shape[:2]
    sizes = {
        units: task._net(units).count_params()
        for units in (settings.teacher_width, settings.student_width)
    }
    print(
        "## Multi-label: two digits in one picture\n\n"
        f"{settings.pictures:,} pictures of {height}x{width} to train and "
        f"{settings.test_pictures:,} to test, each of two different digits of scikit-learn's at "
        "random places, from its training and its test images. Teacher: convolutional, "
        f"{sizes[settings.teacher_width]:,} parameters, {settings.teacher_epochs} epochs. Student: "
        f"likewise, {sizes[settings.student_width]:,} parameters, {settings.epochs} epochs. Both "
        "return a logit for each digit; the labels' loss is binary cross-entropy, the mean over "
        f"labels. Adam with cosine decay from {settings.teacher_rate:g} (teacher) and "
        f"{settings.learning_rate:g} (students), batches of {settings.batch_size}. Distilled with "
        f"`BinaryKDLoss`, the sum over labels, from a `TeacherCache`: alpha {settings.alpha:g}, or "
        f"0 where there are no labels, and T {settings.temperature:g} but for one row, all fixed "
        "beforehand; widths, epochs and pictures were chosen without distilling, on pictures of "
        "training images, after figures of an earlier run had been seen (below). Rows with "
        "fewer pictures see them so often that they make as many steps; the teacher is the same. "
        "A label is given where its probability is above 0.5. "
        "Mean ± standard "
        f"deviation over seeds {settings.seeds}; the teacher was trained once.\n\n{table(task)}\n"
    )
    task.bench.print_setup()


if __name__ == "__main__":
    main()

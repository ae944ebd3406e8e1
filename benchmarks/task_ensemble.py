"""Rare digits again: several nets as one, what a final model makes of them, a student of each.

    python benchmarks/task_ensemble.py --data-dir DIR   # prints its section of tasks.md
    python benchmarks/task_ensemble.py --small          # half a minute, on scikit-learn's digits

The data of `task_imbalance.py`. All nets are given class weights, which were best there.
"""

import dataclasses
import itertools

import numpy as np
import tensorflow as tf
from fitted import fitted
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from task_bench import TaskBench, mean_and_sd, task_options
from task_imbalance import COLUMNS, CROSS_ENTROPY, Imbalance

import keras_kd
from keras_kd.data import digits, image_classification
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.models import cnn
from keras_kd.schemes import JointEnsemble
from keras_kd.teachers import Ensemble, Stacked

SCRIPT = "benchmarks/task_ensemble.py"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything; the nets are the students of `task_imbalance.py`."""

    largest: int = 1_000
    ratio: float = 0.01
    student_width: int = 8
    stages: int = 3
    epochs: int = 15
    batch_size: int = 64
    learning_rate: float = 4e-3
    members: int = 3
    folds: int = 3
    alphas: tuple = (0.1, 0.5)
    temperatures: tuple = (1.0, 4.0)
    seeds: tuple = (0, 1, 2)


SMALL = Settings(largest=50, ratio=0.1, stages=2, epochs=1, members=2, folds=2, seeds=(0,))


class Together(Imbalance):
    """The data, the teachers of several nets, and a student of each."""

    def __init__(self, bench, data):
        super().__init__(bench, data)
        self.validation = data.arrays("validation")
        x, y = zip(*self.train.as_numpy_iterator(), strict=True)
        self.arrays = np.stack(x), np.stack(y)

    def net(self, number=0):
        """Returns a new net."""
        settings = self.settings
        return cnn(
            self.shape,
            10,
            width=settings.student_width,
            stages=settings.stages,
            name=f"net_{number}",
        )

    def mean_of_alone(self):
        """Returns the mean of nets that were trained by themselves."""
        return Ensemble([self._trained(self.net(number)) for number in self._numbers])

    def joint(self):
        """Returns nets that were trained as one."""
        return self._trained(JointEnsemble([self.net(number) for number in self._numbers]))

    def stacked(self):
        """Returns nets and a logistic regression of their answers, fitted on held-out folds."""

        def train(x, y):
            examples = tf.data.Dataset.from_tensor_slices((x, y))
            return [self._trained(self.net(number), examples) for number in self._numbers]

        final = LogisticRegression(class_weight="balanced", max_iter=2_000)
        return Stacked.cross_fitted(train, final, *self.arrays, folds=self.settings.folds)

    def both(self, name, make, alpha, temperature):
        """Returns what trains a teacher and its student for a seed: the figures of both."""

        def train(seed):
            teacher = make()
            student = self.net()
            path = self.bench.file(f"answers of {name} {alpha} {temperature} {seed}", "")
            labelled = keras_kd.TeacherCache(path, teacher).label(self.train)
            distiller = keras_kd.Distiller(student, alpha=alpha, temperature=temperature)
            self._trained(distiller, labelled)
            return {
                **self.quality(teacher),
                **{f"student {key}": value for key, value in self.quality(student).items()},
                "validation": self._f1(student),
            }

        return train

    def quality(self, model):
        """Returns recall, accuracy and macro F1 on the test data, in %."""
        return super().quality(_Predicting(model) if isinstance(model, Stacked) else model)

    @property
    def _numbers(self):
        return range(self.settings.members)

    def _trained(self, model, examples=None):
        examples = self.train if examples is None else examples
        labels = len(self.labels)
        return fitted(
            model,
            examples.cache().shuffle(labels).batch(self.settings.batch_size),
            CROSS_ENTROPY,
            epochs=self.settings.epochs,
            learning_rate=self.settings.learning_rate,
            class_weight=self.class_weight,
        )

    def _f1(self, model):
        images, labels = self.validation
        found = model.predict(images, batch_size=512, verbose=0).argmax(-1)
        return 100.0 * f1_score(labels, found, average="macro", zero_division=0.0)


class _Predicting:
    """A function of batches with the one method of Keras that the figures need."""

    def __init__(self, function):
        self._function = function

    def predict(self, x, batch_size, verbose):
        parts = [self._function(x[at : at + batch_size]) for at in range(0, len(x), batch_size)]
        return np.concatenate(parts)


def main(arguments=None):
    """Runs the task and prints its section."""
    options = task_options(__doc__, arguments)
    settings = SMALL if options.small else Settings()
    data = digits() if options.small else image_classification("mnist", options.data_dir)
    bench = TaskBench(SCRIPT, settings, options)
    task = Together(bench, data)
    makers = {
        f"mean of {settings.members} nets trained alone": task.mean_of_alone,
        f"JointEnsemble of {settings.members}": task.joint,
        f"Stacked, {settings.members} nets and a logistic regression": task.stacked,
    }
    first = next(iter(makers))
    tried = {
        (alpha, temperature): bench.figures(
            f"{first}, alpha {alpha:g}, T {temperature:g}",
            settings.seeds[0],
            task.both(first, makers[first], alpha, temperature),
        )["validation"]
        for alpha, temperature in itertools.product(settings.alphas, settings.temperatures)
    }
    alpha, temperature = max(tried, key=tried.get)
    lines = [["row", *COLUMNS.values()]]
    for name, make in makers.items():
        kept = f"{name}, alpha {alpha:g}, T {temperature:g}"
        train = task.both(name, make, alpha, temperature)
        found = [bench.figures(kept, seed, train) for seed in settings.seeds]
        for row, prefix in ((name, ""), (f"student of: {name}", "student ")):
            cells = (mean_and_sd([each[prefix + key] for each in found]) for key in COLUMNS)
            lines.append([row, *cells])
    choice = ", ".join(f"{value:.2f} at {a:g} and {t:g}" for (a, t), value in tried.items())
    print(
        f"## Imbalance: several nets, and a student of each\n\nThe data of the section on "
        f"imbalance: {len(task.labels):,} images, {np.bincount(task.labels).min()} of the rarest "
        f"digit. All nets are as the students there ({task.net().count_params():,} parameters, "
        f"{settings.epochs} epochs, Adam {settings.learning_rate:g} with cosine decay, batches of "
        f"{settings.batch_size}) and are given class weights. `Stacked` is cross-fitted over "
        f"{settings.folds} folds, its logistic regression with balanced classes. A student is one "
        f"such net, from a `TeacherCache`, with alpha {alpha:g} and T {temperature:g}: chosen with "
        "the first row's student by macro F1 on the validation data, first seed (F1 in % at alpha "
        f"and T: {choice}). Mean ± standard deviation over seeds {settings.seeds}, teachers "
        f"trained anew for each.\n\n{markdown_table(lines)}\n"
    )
    bench.print_setup()


if __name__ == "__main__":
    main()

"""Nets that learn from each other, and one that learns from itself, beside alone and KD.

    python benchmarks/scheme_together.py --data-dir DIR --teacher FILE.keras   # two hours, 2 cores
    python benchmarks/scheme_together.py --small                               # a minute, on digits

Deep mutual learning of two ResNet-8, and one ResNet-8 with exits (be your own teacher), on
CIFAR-10. Whatever learns together takes as many epochs as one alone.
"""

import dataclasses
import functools
import itertools
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from choose import choose
from fitted import fitted
from task_bench import TaskBench, mean_and_sd, task_options

import keras_kd
from keras_kd.data import digits, image_classification
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.models import resnet

SCRIPT = "benchmarks/scheme_together.py"
COLUMNS = {"accuracy": "test accuracy in %"}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
EXITS = ("stage1", "stage2")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    examples: int = 10_000
    epochs: int = 20
    batch_size: int = 64
    rates: tuple = (1e-3, 4e-3)
    temperatures: tuple = (1.0, 3.0)
    alphas: tuple = (0.5, 0.9)
    kd_alpha: float = 0.1
    width: int = 16
    candidates: int = 2
    seeds: tuple = (0, 1, 2)


SMALL = Settings(epochs=1, width=4, candidates=1, seeds=(0,))


class Together:
    """The data, and the trainings of the rows.

    Args:
        settings: The `Settings`.
        options: What `task_options` returned, with `teacher`.
        data: An `ImageData`.
    """

    def __init__(self, settings, options, data):
        self.settings, self.bench = settings, TaskBench(SCRIPT, settings, options)
        self.shape = data.image_shape
        self.splits = {name: data.arrays(name) for name in ("train", "validation", "test")}
        self.splits["train"] = tuple(each[: settings.examples] for each in self.splits["train"])
        self._file = options.teacher

    @functools.cached_property
    def teacher(self):
        """The trained teacher of the KD rows."""
        if self._file is not None:
            return keras.saving.load_model(self._file, compile=False)
        return self.bench.teacher(lambda: self._fit(self.net("teacher"), self.settings.rates[-1]))

    def net(self, name="student"):
        """Returns a new ResNet-8."""
        return resnet(self.shape, 10, depth=8, width=self.settings.width, name=name)

    def alone(self, rate):
        """Returns what trains a net on the labels."""

        def train(_):
            return self._figures(self._fit(self.net(), rate))

        return train

    def two_alone(self, rate):
        """Returns what trains two nets on the labels: the accuracy of their mean."""

        def train(seed):
            nets = []
            for number in range(2):
                keras.utils.set_random_seed(100 * (seed + 1) + number)
                nets.append(self._fit(self.net(), rate))
            return self._figures(*nets)

        return train

    def mutual(self, rate, temperature, learn_from="each"):
        """Returns what trains two nets that learn from each other."""

        def train(_):
            nets = [self.net("first"), self.net("second")]
            model = keras_kd.schemes.MutualDistiller(
                nets, temperature=temperature, learn_from=learn_from
            )
            self._fit(model, rate)
            return self._figures(nets[0]) | {"both": self._figures(*nets)["accuracy"]}

        return train

    def own_teacher(self, rate, alpha, temperature):
        """Returns what trains a net whose deepest exit teaches the others."""

        def train(_):
            net = self.net()
            model = keras_kd.schemes.SelfDistiller(net, EXITS, alpha=alpha, temperature=temperature)
            self._fit(model, rate)
            x, y = self.splits["test"]
            answers = model.predict(x, batch_size=500, verbose=0)
            return self._figures(net) | {name: _accuracy(answers[name], y) for name in EXITS}

        return train

    def taught(self, rate, temperature):
        """Returns what trains a net with the teacher."""

        def train(_):
            student = self.net()
            model = keras_kd.Distiller(
                student, alpha=self.settings.kd_alpha, temperature=temperature
            )
            cache = keras_kd.TeacherCache(self.bench.file("answers", ""), self.teacher)
            self._fit(model, rate, cache.label(self.splits["train"]))
            return self._figures(student)

        return train

    def teacher_figures(self):
        """Returns the teacher's figures, measured once."""
        return self.bench.figures("the teacher", 0, lambda _: self._figures(self.teacher))

    def _fit(self, model, rate, examples=None):
        settings = self.settings
        if examples is None:
            examples = tf.data.Dataset.from_tensor_slices(self.splits["train"])
        batches = examples.shuffle(8192).batch(settings.batch_size)
        return fitted(model, batches, LOSS, epochs=settings.epochs, learning_rate=rate)

    def _figures(self, *models):
        """Returns the accuracies of a model, or of the mean of several, in %."""
        found = {}
        for split, figure in (("validation", "validation"), ("test", "accuracy")):
            x, y = self.splits[split]
            answers = [each.predict(x, batch_size=500, verbose=0) for each in models]
            means = np.mean([np.asarray(keras.ops.softmax(each)) for each in answers], 0)
            found[figure] = _accuracy(means, y)
        return found


def _accuracy(answers, labels):
    return 100.0 * float(np.mean(answers.argmax(-1) == labels))


def candidates(task):
    """Returns as many candidates for each row, by their names."""
    settings = task.settings
    rate = settings.rates[-1]
    pairs = list(itertools.product(settings.alphas, settings.temperatures[1:]))
    return {
        "alone": {f"alone, rate {r:g}": (task.alone, r) for r in reversed(settings.rates)},
        "mutual": {
            f"two from each other, T {t:g}": (task.mutual, rate, t) for t in settings.temperatures
        },
        "exits": {
            f"its own teacher, alpha {a:g}, T {t:g}": (task.own_teacher, rate, a, t)
            for a, t in pairs
        },
        "KD": {f"KD, T {t:g}": (task.taught, rate, t) for t in settings.temperatures},
    }


def main(arguments=None):
    """Runs the trainings and prints the section."""
    options = task_options(
        __doc__,
        arguments,
        lambda parser: parser.add_argument(
            "--teacher", type=Path, help="the .keras file of a trained CIFAR-10 classifier"
        ),
    )
    settings = SMALL if options.small else Settings()
    data = digits() if options.small else image_classification("cifar10", options.data_dir)
    task = Together(settings, options, data)
    rows, tried = choose(
        task.bench,
        candidates(task),
        lambda candidate: candidate[0](*candidate[1:]),
        "validation accuracy in %",
    )
    alone, mutual, exits, taught = rows
    rate = float(alone.rsplit(" ", 1)[1])
    temperature = float(mutual.rsplit(" ", 1)[1])
    mean = f"two from their mean, T {temperature:g}"
    lines = [
        (alone, alone, rows[alone], "accuracy"),
        (mutual, mutual, rows[mutual], "accuracy"),
        (mean, mean, task.mutual(settings.rates[-1], temperature, "mean"), "accuracy"),
        (exits, exits, rows[exits], "accuracy"),
        *((f"its exit at {name}", exits, rows[exits], name) for name in EXITS),
        (taught, taught, rows[taught], "accuracy"),
        ("mean of two alone", "mean of two alone", task.two_alone(rate), "accuracy"),
        ("mean of the two from each other", mutual, rows[mutual], "both"),
    ]
    quality = task.teacher_figures()
    cells = [["row", "test accuracy in %"], ["the teacher", mean_and_sd([quality["accuracy"]])]]
    for row, kept_as, train, figure in lines:
        found = [task.bench.figures(kept_as, seed, train)[figure] for seed in settings.seeds]
        cells.append([row, mean_and_sd(found)])
    sizes = " / ".join(f"{len(labels):,}" for _, labels in task.splits.values())
    print(
        f"## Together: ResNet-8 on {data.name}\n\n{sizes} images to train, validate and test, as "
        f"they are. ResNet-8 of {task.net().count_params():,} parameters, {settings.epochs} epochs "
        f"in batches of {settings.batch_size}, Adam with cosine decay, at {settings.rates[-1]:g} "
        "where no other rate is named. Of two that learn together the first is tested. KD: alpha "
        f"{settings.kd_alpha:g}, a teacher of {task.teacher.count_params():,} parameters through "
        "a `TeacherCache`. Chosen on the validation data with the first seed, two candidates a "
        f"row; the last epoch's weights; mean ± standard deviation over seeds {settings.seeds}."
        f"\n\n{markdown_table(cells)}\n\nThe candidates:\n\n{tried}\n"
    )
    task.bench.print_setup()


if __name__ == "__main__":
    main()

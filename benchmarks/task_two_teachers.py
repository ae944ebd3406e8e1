"""Two teachers of one task each, one student of both, and a student of each.

    python benchmarks/task_two_teachers.py           # prints its section of tasks.md, on 2 cores
    python benchmarks/task_two_teachers.py --small   # half a minute

Which digit, and whether it is odd, of scikit-learn's digits. Students know a hundred labels, and
what the teachers say of all training images.
"""

import dataclasses
import itertools

import keras
import numpy as np
import tensorflow as tf
from choose import choose
from fitted import fitted
from task_bench import TaskBench, mean_and_sd, task_options

import keras_kd
from keras_kd.data import digits
from keras_kd.models import cnn
from keras_kd.teachers import PerOutput

SCRIPT = "benchmarks/task_two_teachers.py"
TASKS = {"digit": 10, "odd": 2}
COLUMNS = {"digit": "digit right in %", "odd": "odd or even right in %"}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    labels: int = 100
    teacher_width: int = 16
    student_width: int = 6
    stages: int = 2
    teacher_epochs: int = 60
    epochs: int = 60
    batch_size: int = 64
    teacher_rate: float = 8e-3
    rates: tuple = (4e-3, 8e-3, 1.6e-2, 3.2e-2)
    temperatures: tuple = (1.0, 4.0)
    alpha: float = 0.1
    candidates: int = 4
    seeds: tuple = (0, 1, 2, 3, 4)


SMALL = Settings(teacher_epochs=2, epochs=2, candidates=1, seeds=(0,))


class TwoTasks:
    """The data, the two teachers and their students.

    Args:
        bench: A `TaskBench`.
    """

    def __init__(self, bench):
        self.bench, self.settings, data = bench, bench.settings, digits()
        self.shape = data.image_shape
        self.splits = {}
        for split in ("train", "validation", "test"):
            x, y = data.arrays(split)
            self.splits[split] = x, {"digit": y, "odd": y % 2}
        x, labels = self.splits["train"]
        known = np.arange(len(x)) < self.settings.labels
        self.few = {name: np.where(known, each, -1) for name, each in labels.items()}
        self.teachers = {
            name: bench.teacher(self._teacher(name), f"teacher {name}") for name in TASKS
        }
        self.teacher = PerOutput(self.teachers)
        cache = keras_kd.TeacherCache(bench.file("answers", ""), self.teacher)
        self.taught = cache.label((x, self.few))
        self.untaught = tf.data.Dataset.from_tensor_slices((x, self.few))

    def one(self, rate, temperature=None):
        """Returns what trains one student of both tasks, on labels alone or taught."""

        def train(seed):
            student = self._trained(tuple(TASKS), rate, temperature, seed)
            return self._figures(student, student)

        return train

    def two(self, rate, temperature=None):
        """Returns what trains a student of each task, on labels alone or taught."""

        def train(seed):
            students = [self._trained((name,), rate, temperature, seed) for name in TASKS]
            return self._figures(*students)

        return train

    def teacher_cells(self):
        """Returns the teachers' figures for the table."""
        found = self._figures(*self.teachers.values())
        return [mean_and_sd([found[key]]) for key in COLUMNS]

    def _trained(self, tasks, rate, temperature, seed):
        student = model = self._net(self.settings.student_width, tasks)
        examples = self.untaught
        if temperature is not None:
            losses = {name: keras_kd.losses.KDLoss() for name in tasks}
            model = keras_kd.Distiller(
                student, alpha=self.settings.alpha, temperature=temperature, kd_loss=losses
            )
            examples = self.taught.map(lambda x, y: (_of(tasks, x), y))
        examples = examples.map(lambda x, y: (x, {name: y[name] for name in tasks}))
        batches = examples.shuffle(len(self.few["digit"]), seed=seed)
        batches = batches.batch(self.settings.batch_size)
        epochs = self.settings.epochs
        fitted(model, batches, _losses(tasks), epochs=epochs, learning_rate=rate)
        return student

    def _net(self, width, tasks):
        """Returns a net with an output of each task's name, a dict."""
        body = cnn(self.shape, 1, width=width, stages=self.settings.stages)
        pool = body.get_layer("pool").output
        outputs = {name: keras.layers.Dense(TASKS[name], name=name)(pool) for name in tasks}
        return keras.Model(body.input, outputs, name="_and_".join(tasks))

    def _teacher(self, name):
        def train():
            settings, (x, y) = self.settings, self.splits["train"]
            net = self._net(settings.teacher_width, (name,))
            net = keras.Model(net.input, net.output[name], name=f"teacher_of_{name}")
            batches = tf.data.Dataset.from_tensor_slices((x, y[name])).shuffle(len(x), seed=0)
            return fitted(
                net,
                batches.batch(settings.batch_size),
                _losses((name,))[name],
                epochs=settings.teacher_epochs,
                learning_rate=settings.teacher_rate,
            )

        return train

    def _figures(self, of_digits, of_oddness):
        """Returns the accuracies, of two models or of one that is given twice."""
        models = dict(zip(TASKS, (of_digits, of_oddness), strict=True))
        means = {}
        for split in ("validation", "test"):
            x, labels = self.splits[split]
            for name, model in models.items():
                answers = model.predict(x, batch_size=512, verbose=0)
                answers = answers[name] if isinstance(answers, dict) else answers
                means[split, name] = 100.0 * float(np.mean(answers.argmax(-1) == labels[name]))
        found = {name: means["test", name] for name in TASKS}
        return found | {"validation": np.mean([means["validation", name] for name in TASKS])}


def _losses(tasks):
    cross_entropy = keras.losses.SparseCategoricalCrossentropy
    return {name: cross_entropy(from_logits=True, ignore_class=-1) for name in tasks}


def _of(tasks, x):
    """The inputs with what the teachers of these tasks say."""
    said = {name: x["teacher_outputs"][name] for name in tasks}
    return {"inputs": x["inputs"], "teacher_outputs": said}


def candidates(task):
    """Returns as many candidates for each row, by their names."""
    settings = task.settings
    taught = list(itertools.product(settings.rates[1:3], settings.temperatures))
    return {
        "one alone": {f"one student, labels, rate {r:g}": (task.one, r) for r in settings.rates},
        "two alone": {f"two students, labels, rate {r:g}": (task.two, r) for r in settings.rates},
        "one": {
            f"one student, PerOutput, rate {r:g}, T {t:g}": (task.one, r, t) for r, t in taught
        },
        "two": {f"two students, KD each, rate {r:g}, T {t:g}": (task.two, r, t) for r, t in taught},
    }


def main(arguments=None):
    """Runs the task and prints its section."""
    options = task_options(__doc__, arguments)
    settings = SMALL if options.small else Settings()
    task = TwoTasks(TaskBench(SCRIPT, settings, options))
    rows, tried = choose(
        task.bench,
        candidates(task),
        lambda candidate: candidate[0](*candidate[1:]),
        "mean validation accuracy in %",
    )
    first = ["the two teachers, of all labels", *task.teacher_cells()]
    table = task.bench.table(rows, COLUMNS, [first])
    sizes = " / ".join(f"{len(x):,}" for x, _ in task.splits.values())
    print(
        f"## Two teachers, one student: which digit, and is it odd\n\n{sizes} images of "
        f"scikit-learn's digits to train, validate and test. Two convolutional teachers of width "
        f"{settings.teacher_width}, one a task, each trained on all labels. Students of width "
        f"{settings.student_width}: one with two outputs, or two with one; {settings.labels} "
        f"labels, and where there are teachers what they say of all training images (alpha "
        f"{settings.alpha:g}; `teachers.PerOutput` through one `TeacherCache`). {settings.epochs} "
        f"epochs over all images, batches of {settings.batch_size}, Adam with cosine decay. Rate "
        "and T chosen by the mean of both validation accuracies, first seed, four candidates a "
        f"row. Mean ± standard deviation over seeds {settings.seeds}.\n\n{table}\n\nThe "
        f"candidates:\n\n{tried}\n"
    )
    task.bench.print_setup()


if __name__ == "__main__":
    main()

"""A hundred labels and many images: labels alone, a mean teacher, a teacher who saw all labels.

    python benchmarks/scheme_mean_teacher.py --data-dir DIR   # prints its section of schemes.md
    python benchmarks/scheme_mean_teacher.py --small          # a minute, on scikit-learn's digits

All rows take as many steps, on images shifted by up to two pixels, and have as many candidates on
the validation split. What was trained is kept in the cache folder, so a stopped run continues.
"""

import dataclasses
import itertools

import keras
import numpy as np
import tensorflow as tf
from choose import choose
from task_bench import TaskBench, mean_and_sd, task_options

import keras_kd
from keras_kd.data import digits, image_classification
from keras_kd.models import cnn

SCRIPT = "benchmarks/scheme_mean_teacher.py"
COLUMNS = {"accuracy": "test accuracy in %", "student": "without averaging weights, in %"}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
EPOCHS = 10  # an epoch is a tenth of the steps


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    labelled: int = 100
    steps: int = 3_000
    labelled_in_batch: int = 25
    unlabelled_in_batch: int = 75
    width: int = 8
    stages: int = 3
    candidates: int = 4
    seeds: tuple = (0, 1, 2, 3, 4)


SMALL = Settings(labelled=20, steps=20, stages=2, candidates=2, seeds=(0,))


class FewLabels:
    """The data, and the trainings of its rows."""

    def __init__(self, bench, data):
        self.bench, self.settings, self.shape = bench, bench.settings, data.image_shape
        images, labels = data.arrays("train")
        chosen = _as_many_of_each(labels, self.settings.labelled)
        withheld = np.full_like(labels, -1)
        self.labelled = (images[chosen], labels[chosen])
        self.unlabelled = (images, withheld)
        self.all = (images, labels)
        self.validation, self.test = data.arrays("validation"), data.arrays("test")

    def alone(self, rate, data=None):
        """Returns what trains the student on labels, a hundred or those given."""

        def train(seed):
            student = self._net()
            size = self.settings.labelled_in_batch if data is None else self._batch_size
            self._fit(student, _batches(data or self.labelled, size, seed), rate)
            return self._figures(student, student)

        return train

    def mean_teacher(self, rate, momentum, alpha):
        """Returns what trains a student and its mean teacher."""

        def train(seed):
            student = self._net()
            teacher = keras_kd.teachers.MovingAverage(student, momentum, ramp_up=True)
            model = keras_kd.Distiller(student, teacher, alpha=1.0, temperature=1.0)
            ramp = self.settings.steps // 5

            def share_of_labels(step, _):
                return 1.0 - (1.0 - alpha) * min(1.0, step / ramp)

            schedule = keras_kd.callbacks.AlphaScheduler(share_of_labels, per="batch")
            self._fit(model, self._mixed(seed, _two_views), rate, callbacks=[schedule])
            return self._figures(teacher.model, student)

        return train

    def taught(self, teacher, rate, temperature):
        """Returns what trains a student on the labels and on what a trained teacher says."""

        def train(seed):
            student = self._net()
            model = keras_kd.Distiller(student, teacher, alpha=0.1, temperature=temperature)
            self._fit(model, self._mixed(seed), rate)
            return self._figures(student, student)

        return train

    def teacher(self):
        """Returns a teacher of the student's size that was trained on all labels."""

        def train():
            net = self._net()
            self._fit(net, _batches(self.all, self._batch_size, 0), 4e-3)
            return net

        return self.bench.teacher(train)

    def quality(self, model, data):
        """Returns the accuracy in %."""
        images, labels = data
        answers = model.predict(images, batch_size=512, verbose=0).argmax(-1)
        return 100.0 * float(np.mean(answers == labels))

    def _figures(self, model, student):
        return {
            "validation": self.quality(model, self.validation),
            "accuracy": self.quality(model, self.test),
            "student": self.quality(student, self.test),
        }

    def _net(self):
        return cnn(self.shape, 10, width=self.settings.width, stages=self.settings.stages)

    @property
    def _batch_size(self):
        return self.settings.labelled_in_batch + self.settings.unlabelled_in_batch

    def _mixed(self, seed, augment=None):
        labelled = _batches(self.labelled, self.settings.labelled_in_batch, seed, augment)
        unlabelled = _batches(self.unlabelled, self.settings.unlabelled_in_batch, seed + 1, augment)
        return tf.data.Dataset.zip(labelled, unlabelled).map(
            lambda *parts: tf.nest.map_structure(lambda a, b: tf.concat([a, b], 0), *parts)
        )

    def _fit(self, model, batches, rate, **fit):
        steps = self.settings.steps // EPOCHS
        decay = keras.optimizers.schedules.CosineDecay(rate, self.settings.steps)
        model.compile(keras.optimizers.Adam(decay), LOSS, jit_compile=False)
        model.fit(batches.prefetch(2), epochs=EPOCHS, steps_per_epoch=steps, verbose=0, **fit)


def _batches(data, size, seed, augment=None):
    """Returns batches without end, of images that are augmented anew each time."""
    examples = tf.data.Dataset.from_tensor_slices(data).shuffle(len(data[1]), seed=seed).repeat()
    return examples.map(augment or _one_view, num_parallel_calls=tf.data.AUTOTUNE).batch(size)


def _one_view(image, label):
    return _shifted(image), label


def _two_views(image, label):
    return {"inputs": _shifted(image), "teacher_inputs": _shifted(image)}, label


def _shifted(image):
    padded = tf.pad(image, [[2, 2], [2, 2], [0, 0]])
    return tf.image.random_crop(padded, tf.shape(image))


def _as_many_of_each(labels, count):
    """Returns the rows of `count` examples, as many of each class, the first ones of an order."""
    order = np.random.default_rng(0).permutation(len(labels))
    each = count // 10
    return np.concatenate([order[labels[order] == number][:each] for number in range(10)])


def candidates(task, teacher):
    """Returns as many candidates for each row, by their names."""
    rates = (1e-3, 2e-3, 4e-3, 8e-3)
    return {
        "alone": {
            f"{task.settings.labelled} labels alone, rate {r:g}": (task.alone, r) for r in rates
        },
        "mean teacher": {
            f"mean teacher, momentum {m:g}, alpha {a:g}": (task.mean_teacher, 4e-3, m, a)
            for m, a in itertools.product((0.99, 0.999), (0.5, 0.1))
        },
        "taught": {
            f"KD from a teacher of all labels, rate {r:g}, T {t:g}": (task.taught, teacher, r, t)
            for r, t in itertools.product((4e-3, 8e-3), (1.0, 4.0))
        },
        "all": {f"all labels, rate {r:g}": (task.alone, r, task.all) for r in rates},
    }


def main(arguments=None):
    """Runs the trainings and prints the section."""
    options = task_options(__doc__, arguments)
    settings = SMALL if options.small else Settings()
    data = digits() if options.small else image_classification("mnist", options.data_dir)
    task = FewLabels(TaskBench(SCRIPT, settings, options), data)
    teacher = task.teacher()
    rows, tried = choose(
        task.bench,
        candidates(task, teacher),
        lambda candidate: candidate[0](*candidate[1:]),
        "validation accuracy in %",
    )
    quality = mean_and_sd([task.quality(teacher, task.test)])
    table = task.bench.table(rows, COLUMNS, [["the teacher of all labels", quality, quality]])
    print(
        f"## Mean teacher: {data.name} with {settings.labelled} labels\n\n"
        f"A convolutional net of {teacher.count_params():,} parameters, the teacher's as the "
        f"students'. {settings.labelled} of {len(task.all[1]):,} training images keep their label, "
        f"as many of each digit. {settings.steps:,} steps of Adam with cosine decay, on batches of "
        f"{settings.labelled_in_batch} labelled images and, where there is a teacher, "
        f"{settings.unlabelled_in_batch} unlabelled ones; with all labels, of "
        f"{settings.labelled_in_batch + settings.unlabelled_in_batch}. Images are shifted by up to "
        "two pixels, for the student and its mean teacher by different ones. Mean teacher: rate "
        "4e-3, KL at T 1, the labels' share falls from 1 to alpha in the first fifth, momentum "
        "with the authors' ramp-up; the average is what is tested. KD: alpha 0.1. Chosen on the "
        f"{len(task.validation[1]):,} validation images with the first seed, tested on "
        f"{len(task.test[1]):,}; mean ± standard deviation over seeds {settings.seeds}, the "
        f"labelled images the same.\n\n{table}\n\nThe candidates:\n\n{tried}\n"
    )
    task.bench.print_setup()


if __name__ == "__main__":
    main()

"""A class for each pixel of blood cells: a U-Net teaches one of a quarter of its size.

    python benchmarks/task_segmentation.py --data-dir DIR # prints its section of tasks.md
    python benchmarks/task_segmentation.py --data-dir DIR --small

The teacher's answers are labelled once, with their mirror images, and all students read them from
disk. Where the mask does not know the class of a pixel, neither loss counts it. Finished trainings
are kept in the cache folder, so a stopped run continues.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from task_bench import TaskBench, task_options

import keras_kd
from keras_kd.data import blood_cells, ellipse_mask, mirrored
from keras_kd.losses import CWDLoss, KDLoss
from keras_kd.models import unet

IGNORE = 255
ALONE = "student alone"
COLUMNS = {"iou": "mean IoU in %", "platelets": "IoU of platelets in %"}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    image_size: tuple = (72, 96)
    images: int = 205
    held_out: int = 72
    width: int = 16
    student_width: int = 8
    depth: int = 3
    teacher_epochs: int = 10
    epochs: int = 8
    batch_size: int = 8
    teacher_rate: float = 4e-3
    learning_rate: float = 1e-2
    alpha: float = 0.5
    seeds: tuple = (0, 1, 2)


SMALL = Settings((32, 48), 8, 4, 4, 2, 2, 1, 1, seeds=(0,))


def rows():
    """The distilled rows; the paper's weight of CWD on score maps is 3."""
    return {
        "KD": {"kd_loss": KDLoss(1.0, ignore_class=IGNORE)},
        "KD, of the ignored pixels too": {"kd_loss": KDLoss(1.0)},
        "CWD on logits": {"kd_loss": CWDLoss(weight=3.0, ignore_class=IGNORE)},
    }


class Segmentation:
    """The data, the teacher and its answers, and the training of a student."""

    def __init__(self, bench, data):
        self.settings = bench.settings
        self.classes = data.num_classes + 1
        settings = self.settings
        self.train = mirrored(data.train.take(settings.images)).map(self._with_mask).cache()
        test = data.test.take(settings.held_out).map(self._with_mask)
        self.test = next(iter(test.batch(settings.held_out)))
        self.loss = keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=IGNORE
        )
        self.teacher = bench.teacher(self._train_teacher)
        cache = keras_kd.TeacherCache(bench.file("answers", ""), self.teacher)
        self.labelled = cache.label(self.train, batch_size=32)

    def student(self, candidate):
        """Returns what trains a student, alone or with the Distiller's arguments, for a seed."""

        def train(seed):
            settings = self.settings
            student = self._net(settings.student_width, "student")
            model, data = student, self.train
            if candidate is not None:
                model = keras_kd.Distiller(student, alpha=settings.alpha, **candidate)
                data = self.labelled
            self._fit(model, data, settings.epochs, settings.learning_rate, seed)
            return self.quality(student, self.test)

        return train

    def quality(self, model, split):
        """Returns mean intersection over union, and that of platelets, over the known pixels."""
        images, masks = split
        found = model.predict(images, batch_size=16, verbose=0).argmax(-1)
        metrics = {
            "iou": keras.metrics.MeanIoU(self.classes, ignore_class=IGNORE),
            "platelets": keras.metrics.IoU(self.classes, [self.classes - 1], ignore_class=IGNORE),
        }
        for metric in metrics.values():
            metric.update_state(masks, found)
        return {name: 100.0 * float(metric.result()) for name, metric in metrics.items()}

    def _with_mask(self, image, objects):
        mask = ellipse_mask(
            objects["boxes"],
            objects["classes"],
            self.settings.image_size,
            num_classes=self.classes - 1,
            ignore_class=IGNORE,
        )
        return image, mask

    def _net(self, width, name):
        shape = (*self.settings.image_size, 3)
        return unet(shape, self.classes, width=width, depth=self.settings.depth, name=name)

    def _train_teacher(self):
        settings = self.settings
        teacher = self._net(settings.width, "teacher")
        self._fit(teacher, self.train, settings.teacher_epochs, settings.teacher_rate, seed=0)
        return teacher

    def _fit(self, model, data, epochs, learning_rate, seed):
        settings = self.settings
        examples = len(self.train)
        steps = epochs * -(-examples // settings.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        model.compile(keras.optimizers.Adam(rate), self.loss, jit_compile=False)
        batches = data.shuffle(examples, seed=seed).batch(settings.batch_size)
        model.fit(batches.prefetch(tf.data.AUTOTUNE), epochs=epochs, verbose=0)


def main(arguments=None):
    """Runs the task and prints its section."""
    options = task_options(__doc__, arguments)
    settings = SMALL if options.small else Settings()
    bench = TaskBench("benchmarks/task_segmentation.py", settings, options)
    data = blood_cells(options.data_dir, image_size=settings.image_size)
    task = Segmentation(bench, data)
    distilled = {name: task.student(candidate) for name, candidate in rows().items()}
    taught = task.quality(task.teacher, task.test)
    first = ["teacher", *(f"{taught[key]:.2f}" for key in COLUMNS)]
    table = bench.table({ALONE: task.student(None), **distilled}, COLUMNS, [first])

    ignored = 100.0 * float(np.mean(task.test[1] == IGNORE))
    sizes = [
        f"{net.count_params():,}" for net in (task.teacher, task._net(settings.student_width, "s"))
    ]
    print(
        "## Segmentation: blood cells\n\n"
        f"`bccd` at {settings.image_size[0]}x{settings.image_size[1]}, "
        f"{settings.images} training images, each also mirrored left-right, upside down and both "
        f"({len(task.train)}), "
        f"{len(task.test[0])} to test; background, red and "
        "white cells and platelets. The set has boxes and no masks: a cell is taken to be the "
        "ellipse in its box. Pixels within 1 pixel of a rim, and where ellipses of different "
        f"classes overlap, carry the ignore label {IGNORE} ({ignored:.1f} % of the test pixels): "
        "they count in no label's loss, no figure and, but for one row, no teacher's. Teacher: "
        f"U-Net of width {settings.width}, {sizes[0]} parameters, {settings.teacher_epochs} epochs "
        f"of all mirror images. Student: width {settings.student_width}, {sizes[1]} parameters, "
        f"{settings.epochs} epochs, alone or distilled. Adam with cosine decay from "
        f"{settings.teacher_rate:g} (teacher) and {settings.learning_rate:g} (students), batches "
        f"of {settings.batch_size}. Distilled: alpha {settings.alpha:g} and for KD T 1, for CWD T "
        "4 and weight 3, all fixed beforehand, from a `TeacherCache`. Width, epochs and learning "
        "rates were chosen without a teacher, on validation images, after figures of earlier rows "
        "had been seen (below). Mean ± standard deviation over seeds "
        f"{settings.seeds}.\n\n"
        f"{table}\n"
    )
    bench.print_setup()


if __name__ == "__main__":
    main()

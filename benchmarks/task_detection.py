"""Boxes around blood cells: a wide single-shot detector teaches a narrow one.

    python benchmarks/task_detection.py --data-dir DIR   # prints its section of tasks.md
    python benchmarks/task_detection.py --data-dir DIR --small

Two outputs, each with its own loss: scores of classes by focal distillation, sides of boxes by
bounded regression. The teacher's answers are labelled once, with their mirror images, and all
students read them from disk. Finished trainings are kept in the cache folder, so a stopped run
continues.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from choose import choose
from coco_average_precision import coco_average_precision
from task_bench import TaskBench, task_options

import keras_kd
from keras_kd.data import blood_cells, decode_locations, location_targets, mirrored
from keras_kd.losses import BinaryKDLoss, BoundedRegressionLoss, CWDLoss, QualityFocalLoss
from keras_kd.models import fcos

PYRAMID = {"p3": "p3", "p4": "p4"}
ALONE = "student alone"
COLUMNS = {"map50": "mAP at 0.5 in %", "map": "mAP at 0.5 to 0.95 in %"}
# The labels' losses are means over an image's locations and its classes or sides. As sums over its
# about 100 locations of objects, which detectors take, they are some 30 and 4 times as large; boxes
# weigh 5 times as much again, since their offsets are below 1.
LABEL_WEIGHTS = {"classes": 30.0, "boxes": 20.0}
BOUNDED_WEIGHT = 5.0  # it sums over sides, where the labels' loss takes the mean


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    image_size: tuple = (192, 256)
    images: int = 205
    held_out: int = 87
    width: int = 16
    pyramid_width: int = 64
    student_width: int = 4
    student_pyramid_width: int = 16
    teacher_epochs: int = 25
    epochs: int = 12
    batch_size: int = 16
    learning_rate: float = 4e-3
    alpha: float = 0.5
    candidates: int = 2
    seeds: tuple = (0, 1, 2)


SMALL = Settings((64, 96), 8, 4, 4, 8, 2, 4, 1, 1, candidates=1, seeds=(0,))


def rows():
    """The distilled rows: each with the candidates among which validation data choose."""

    def focal(weight):
        return QualityFocalLoss(weight=weight)

    def boxes():
        return BoundedRegressionLoss(weight=BOUNDED_WEIGHT)

    return {
        "classes": {
            f"classes by focal KD, weight {weight:g}": {
                "kd_loss": {"classes": focal(weight), "boxes": None}
            }
            for weight in (10.0, 100.0)
        },
        "classes and boxes": {
            "classes by focal KD, weight 100, and boxes bounded": {
                "kd_loss": {"classes": focal(100.0), "boxes": boxes()}
            }
        },
        "features too": {
            f"both, and CWD on the pyramid, weight {weight:g}": {
                "kd_loss": {"classes": focal(100.0), "boxes": boxes()},
                "feature_losses": [CWDLoss(layers=PYRAMID, weight=weight)],
            }
            for weight in (50.0, 0.5)
        },
        "classes, not focal": {
            f"classes by binary KD, weight {weight:g}": {
                "kd_loss": {"classes": BinaryKDLoss(1.0, weight=weight), "boxes": None}
            }
            for weight in (10.0, 100.0)
        },
    }


class Detection:
    """The data, the teacher and its answers, and the training of a student."""

    def __init__(self, bench, data):
        self.settings, self.data = bench.settings, data
        settings = self.settings
        self.train = mirrored(data.train.take(settings.images)).map(self._with_targets).cache()
        self.validation, self.test = (
            list(split.take(settings.held_out).as_numpy_iterator())
            for split in (data.validation, data.test)
        )
        self.teacher = bench.teacher(self._train_teacher)
        cache = keras_kd.TeacherCache(bench.file("answers", ""), self.teacher, layers=[*PYRAMID])
        self.labelled = cache.label(self.train, batch_size=32)

    def student(self, candidate):
        """Returns what trains a student, alone or with the Distiller's arguments, for a seed."""

        def train(seed):
            student = self.new_student()
            model, data = student, self.train
            if candidate is not None:
                model, data = (
                    keras_kd.Distiller(student, alpha=self.settings.alpha, **candidate),
                    self.labelled,
                )
            self._fit(model, data, self.settings.epochs, seed)
            on_validation = self.quality(student, self.validation)["map50"]
            return {**self.quality(student, self.test), "validation": on_validation}

        return train

    def new_student(self):
        """Returns a student that has learned nothing."""
        settings = self.settings
        return self._net(settings.student_width, settings.student_pyramid_width, "student")

    def quality(self, model, split):
        """Returns COCO's average precisions."""
        images = np.stack([image for image, _ in split])
        outputs = model.predict(images, batch_size=16, verbose=0)
        found = decode_locations(outputs, self.settings.image_size)
        found = {name: value.numpy() for name, value in found.items()}
        of_images = [
            {name: found[name][image][:count] for name in ("boxes", "classes", "scores")}
            for image, count in enumerate(found["count"])
        ]
        truth = [objects for _, objects in split]
        return coco_average_precision(truth, of_images, self.data.class_names)

    def _with_targets(self, image, objects):
        return image, *location_targets(
            objects["boxes"],
            objects["classes"],
            self.settings.image_size,
            num_classes=self.data.num_classes,
        )

    def _net(self, width, pyramid_width, name):
        return fcos(
            self.data.image_shape,
            self.data.num_classes,
            width=width,
            pyramid_width=pyramid_width,
            name=name,
        )

    def _train_teacher(self):
        teacher = self._net(self.settings.width, self.settings.pyramid_width, "teacher")
        self._fit(teacher, self.train, self.settings.teacher_epochs, seed=0)
        return teacher

    def _fit(self, model, data, epochs, seed):
        settings = self.settings
        examples = len(self.train)
        steps = epochs * -(-examples // settings.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
        model.compile(
            keras.optimizers.Adam(rate, clipnorm=10.0),
            {
                "classes": keras.losses.BinaryFocalCrossentropy(
                    apply_class_balancing=True, from_logits=True
                ),
                "boxes": keras.losses.MeanSquaredError(),
            },
            loss_weights=LABEL_WEIGHTS,
            jit_compile=False,
        )
        batches = data.shuffle(examples, seed=seed).batch(settings.batch_size)
        model.fit(batches.prefetch(tf.data.AUTOTUNE), epochs=epochs, verbose=0)


def main(arguments=None):
    """Runs the task and prints its section."""
    options = task_options(__doc__, arguments)
    settings = SMALL if options.small else Settings()
    bench = TaskBench("benchmarks/task_detection.py", settings, options)
    data = blood_cells(options.data_dir, image_size=settings.image_size)
    task = Detection(bench, data)
    heading = "mAP at 0.5 in % on validation data"
    chosen, choice = choose(bench, rows(), task.student, heading)
    columns = {
        **COLUMNS,
        **{f"ap50 {name}": f"{name}, AP at 0.5" for name in data.class_names},
    }
    taught = task.quality(task.teacher, task.test)
    first = ["teacher", *(f"{taught[key]:.2f}" for key in columns)]
    table = bench.table({ALONE: task.student(None), **chosen}, columns, [first])

    sizes = [f"{net.count_params():,}" for net in (task.teacher, task.new_student())]
    print(
        "## Detection: blood cells\n\n"
        f"`bccd` at {settings.image_size[0]}x{settings.image_size[1]}, {settings.images} training "
        f"images, each also mirrored left-right, upside down and both ({len(task.train)}), "
        f"{len(task.validation)} to validate, {len(task.test)} to test. A single-shot detector "
        "without anchors on two pyramid levels (FCOS' assignment, no centre-ness); mean average "
        "precision as COCO defines it, by "
        f"pycocotools. Teacher: width {settings.width}, {sizes[0]} parameters, "
        f"{settings.teacher_epochs} epochs of all mirror images. Student: width "
        f"{settings.student_width}, {sizes[1]} parameters, {settings.epochs} epochs, alone or "
        "distilled. Labels: focal cross-entropy of the classes, squared error of the sides, "
        f"weights {LABEL_WEIGHTS['classes']:g} and {LABEL_WEIGHTS['boxes']:g}. Adam, "
        f"{settings.learning_rate:g} with cosine decay, batches of {settings.batch_size}. "
        f"Distilled: alpha {settings.alpha:g}, as the paper on bounded regression (Chen et al. "
        "2017) has it, from a `TeacherCache`; where a row has two candidates, validation data "
        f'chose between their weights, with seed {settings.seeds[0]}; "both" are classes by '
        "focal KD at weight 100 and bounded boxes. Mean ± standard deviation over seeds "
        f"{settings.seeds}.\n\n"
        f"{table}\n\nWhat was chosen:\n\n{choice}\n"
    )
    bench.print_setup()


if __name__ == "__main__":
    main()

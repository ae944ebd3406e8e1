"""What the demo trains and exports."""

import math
import warnings

import keras
import numpy as np

import keras_kd
from keras_kd.aside import save_aside
from keras_kd.demo.augmentation import VIEWS
from keras_kd.demo.check_teacher import decisions
from keras_kd.demo.nets import Nets
from keras_kd.demo.progress_bar import progress_bar
from keras_kd.demo.training_data import BATCH_SIZE, NO_LABEL, TrainingData
from keras_kd.lazy_modules import tf

EXPORTS = {
    "SavedModel": ("student_saved_model", None),
    "TFLite float32": ("student_float32.tflite", None),
    "TFLite float16": ("student_float16.tflite", "float16"),
    "TFLite int8": ("student_int8.tflite", "int8"),
}
TEACHER_RATE, STUDENT_RATE, OWN_STUDENT_RATE = 3e-3, 1e-2, 1e-3
_OTHERS = r"(keras|tensorflow|absl|numpy|h5py|jax|torch)(\.|$)"  # libraries whose advice is no news


class Run:
    """One demo: a teacher, students alone and distilled, exports.

    Where few images are labelled, the teacher tells of all; students alone, of the same first
    weights and as many steps, have the few labels, or all as the mark to reach. Where no image is
    labelled, students learn from the teacher alone, and agreement with it is what is known of them.

    Args:
        data: A `keras_kd.data.ImageData`.
        folder: Where everything is written.
        options: The parsed command line.
        nets: A `Nets`; None for the demo's own.
        augment: An `Augmentation`, or None.
        rate: The students' learning rate; None for that of their kind.
    """

    def __init__(self, data, folder, options, *, nets=None, augment=None, rate=None):
        self.data, self.folder, self.options = data, folder, options
        if nets is None:
            nets = Nets(
                data.image_shape,
                data.num_classes,
                student_width=options.student_width,
                class_names=data.class_names,
            )
        self.nets, self.augment = nets, augment
        own_rate = OWN_STUDENT_RATE if nets.own_student else STUDENT_RATE
        self.student_rate = rate or own_rate
        self.teacher = None
        self.students = {}  # kind: models by seed
        self.histories = {}  # name of a kind, or the teacher: one dict of curves a net
        self.exports = []  # (label, ExportResult)
        self.best = None  # seed of the student that was exported
        count = len(data.train)
        self.is_labelled = bool(data.class_names)
        self.labels = count if options.labels is None else min(options.labels, count)
        self.labels = self.labels if self.is_labelled else 0
        self.epochs = options.epochs or int(np.clip(60_000 // count, 3, 60))
        self.steps = -(-count // BATCH_SIZE)  # an epoch, for all students
        self.training_data = TrainingData(data, self.labels, augment)
        self.figure = "accuracy" if self.is_labelled else "agreement"
        # Of 500, or as many as take 64 MiB.
        self._at_once = max(1, min(500, 2**24 // math.prod(data.image_shape)))
        self.validation = data.validation.batch(self._at_once)
        self.test = data.test.batch(self._at_once)
        few = f"{self.labels:,} labels"
        if not self.is_labelled:
            self.kinds = {"distilled": "student of the teacher"}
        elif self.labels == count:
            self.kinds = {"alone": "student alone", "distilled": "student distilled"}
        else:
            self.kinds = {
                "alone": f"student, {few}",
                "distilled": f"student, {few} + teacher",
                "all_labels": "student, all labels",
            }

    @property
    def alpha(self):
        """The weight of the labels, 0 where there are none."""
        return self.options.alpha if self.is_labelled else 0.0

    def train(self):
        """Trains the teacher once, and each kind of student for every seed."""
        seeds = range(self.options.seeds)
        labelled = f"{self.labels:,} of them labelled for the students"
        print(
            f"{self.data.name}: {len(self.data.train):,} images to train on, "
            f"{labelled if self.is_labelled else 'none labelled: the teacher alone teaches'}, "
            f"{len(self.data.test):,} to test; {self.epochs} epochs"
        )
        own = self.nets.own_teacher is not None
        total = self.epochs * ((not own) + len(self.kinds) * len(seeds))
        with progress_bar(total, self.folder / "messages.txt") as bar:
            keras.utils.set_random_seed(0)
            teacher = self.nets.teacher()
            if not own:
                history = self.fit(teacher, self.training_data("all_labels", 0), "teacher", bar)
                self._keep(teacher, "teacher")
                self.histories["teacher"] = [history]
            self.know(teacher)
            bar.set_postfix_str("", refresh=False)
            bar.set_description("the teacher answers all images")
            told = self.told()
            for seed in seeds:
                for kind, name in self.kinds.items():
                    # The same first weights and the same labelled images for all kinds.
                    keras.utils.set_random_seed(seed + 1)
                    model = self.nets.student()
                    trained = self.distiller(model) if kind == "distilled" else model
                    train = self.training_data(kind, seed, told)
                    history = self.fit(trained, train, f"{name}, seed {seed}", bar)
                    self._keep(model, f"student_{kind}_seed_{seed}")
                    self.students.setdefault(kind, []).append(model)
                    self.histories.setdefault(name, []).append(history)

    def know(self, teacher):
        """Takes the trained teacher; where there are no labels, its answers are the mark."""
        self.teacher = teacher
        if not self.is_labelled:
            self.validation = self._answered(self.data.validation)
            self.test = self._answered(self.data.test)

    def export(self):
        """Exports the distilled student that does best on the validation split."""
        students = self.students["distilled"]
        self.best = int(np.argmax([self.validation_accuracy(student) for student in students]))
        print("Exporting the distilled student that does best on the validation split:")
        for label, (file, quantize) in EXPORTS.items():
            result = keras_kd.export_student(
                students[self.best],
                self.folder / "models" / file,
                quantize=quantize,
                calibration_data=self.data.train.take(500).batch(50) if quantize else None,
                # A teacher's answers are no labels.
                verify_data=self.test if self.is_labelled else self.test.map(lambda x, _: x),
            )
            self.exports.append((label, result))

    def distiller(self, student):
        """Returns a Distiller that learns from what the data tell of the teacher."""
        teacher = self.nets.own_teacher
        kd_loss = keras_kd.losses.KDLoss(
            teacher_from_logits=None if teacher is None else teacher.from_logits,
            student_from_logits=self.nets.student_from_logits if self.nets.own_student else None,
        )
        return keras_kd.Distiller(
            student, alpha=self.alpha, temperature=self.options.temperature, kd_loss=kd_loss
        )

    def compile(self, model, rate, from_logits=True):
        """Compiles a model for the demo's steps."""
        model.compile(
            keras.optimizers.Adam(
                keras.optimizers.schedules.CosineDecay(rate, self.epochs * self.steps)
            ),
            keras.losses.SparseCategoricalCrossentropy(
                from_logits=from_logits, ignore_class=NO_LABEL
            ),
        )

    def validation_accuracy(self, student):
        """Returns the share of the validation split that a student decides right."""
        batches = self.validation.as_numpy_iterator()
        return np.mean(np.concatenate([decisions(student, [x]) == y for x, y in batches]))

    def told(self):
        """Returns the training images with what the teacher says of each, written once."""
        teacher = self.nets.own_teacher
        cache = keras_kd.TeacherCache(
            self.folder / "teacher_says",
            self.teacher,
            from_logits=None if teacher is None else teacher.from_logits,
        )
        shown = keras.config.is_interactive_logging_enabled()
        keras.config.disable_interactive_logging()
        try:
            views = {} if self.augment is None else {"augment": self.augment, "views": VIEWS}
            return self.training_data.keep(cache.label(self.data.train, **views))
        finally:
            if shown:
                keras.config.enable_interactive_logging()

    def fit(self, model, batches, name, bar, rate=None):
        """Trains a model for the demo's epochs, shows it on the bar, and returns its curves."""
        is_teacher = name == "teacher"
        from_logits = is_teacher or self.nets.student_from_logits
        rate = rate or (TEACHER_RATE if is_teacher else self.student_rate)
        self.compile(model, rate, from_logits)
        bar.set_postfix_str("", refresh=False)  # the accuracy of the net before
        bar.set_description(name)
        curves = {"loss": [], f"val_{self.figure}": []}

        def tick(epoch, logs):
            right = self.validation_accuracy(getattr(model, "student", model))
            curves["loss"].append(logs["loss"])
            curves[f"val_{self.figure}"].append(float(right))
            bar.set_postfix({self.figure: f"{100 * right:.1f} %"}, refresh=False)
            bar.update()

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=_OTHERS)
            # The shares were settled on validation data: benchmarks/demo_settings.md.
            warnings.filterwarnings("ignore", message="kd_loss is")
            model.fit(
                batches,
                epochs=self.epochs,
                steps_per_epoch=self.steps,
                shuffle=False,
                verbose=0,
                callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=tick)],
            )
        return curves

    def _answered(self, images):
        """Returns batches of images with what the teacher decides of each."""
        images = images.map(lambda x, _: x)
        batches = images.batch(self._at_once).as_numpy_iterator()
        answers = tf.data.Dataset.from_tensor_slices(decisions(self.teacher, batches))
        answered = tf.data.Dataset.zip((images, answers))
        return answered.batch(self._at_once)

    def _keep(self, model, name):
        save_aside(model.save, self.folder / "models" / f"{name}.keras")  # no half a file

"""What the demo trains and exports."""

import functools
import warnings

import keras
import numpy as np

try:
    import tqdm
except ImportError as error:
    raise ImportError('The demo needs more: `pip install "keras_kd[demo]"`.') from error

import keras_kd
from keras_kd.aside import save_aside
from keras_kd.lazy_modules import tf
from keras_kd.models import cnn, mlp

EXPORTS = {
    "SavedModel": ("student_saved_model", None),
    "TFLite float32": ("student_float32.tflite", None),
    "TFLite float16": ("student_float16.tflite", "float16"),
    "TFLite int8": ("student_int8.tflite", "int8"),
}
BATCH_SIZE = 64
TEACHER_RATE, STUDENT_RATE = 3e-3, 1e-2
NO_LABEL = -1
SMALL = 10_000  # images that are kept in memory


class Run:
    """One demo: a teacher, students alone and distilled, exports.

    Where few images are labelled, the teacher tells of all; students alone, of the same first
    weights and as many steps, have the few labels, or all as the mark to reach.

    Args:
        data: A `keras_kd.data.ImageData`.
        folder: Where everything is written.
        options: The parsed command line.
    """

    def __init__(self, data, folder, options):
        self.data, self.folder, self.options = data, folder, options
        self.teacher = None
        self.students = {}  # kind: models by seed
        self.exports = []  # (label, ExportResult)
        count = len(data.train)
        self.labels = count if options.labels is None else min(options.labels, count)
        self.epochs = options.epochs or int(np.clip(60_000 // count, 3, 60))
        self.steps = -(-count // BATCH_SIZE)  # an epoch, for all students
        self.tiny_images = min(data.image_shape[:2]) < 16
        self.validation = data.validation.batch(500)
        self.test = data.test.batch(500)
        few = f"{self.labels:,} labels"
        if self.labels == count:
            self.kinds = {"alone": "student alone", "distilled": "student distilled"}
        else:
            self.kinds = {
                "alone": f"student, {few}",
                "distilled": f"student, {few} + teacher",
                "all_labels": "student, all labels",
            }

    def train(self):
        """Trains the teacher once, and each kind of student for every seed."""
        seeds = range(self.options.seeds)
        print(
            f"{self.data.name}: {len(self.data.train):,} images to train on, {self.labels:,} of "
            f"them labelled for the students, {len(self.data.test):,} to test; {self.epochs} epochs"
        )
        total = self.epochs * (1 + len(self.kinds) * len(seeds))
        with tqdm.tqdm(total=total, unit="epoch", dynamic_ncols=True) as bar:
            keras.utils.set_random_seed(0)
            teacher = self.new_teacher()
            self.fit(teacher, self.training_data("all_labels", 0), "teacher", bar)
            self._keep(teacher, "teacher")
            self.teacher = teacher
            told = self.told()
            for seed in seeds:
                for kind, name in self.kinds.items():
                    # The same first weights and the same labelled images for all kinds.
                    keras.utils.set_random_seed(seed + 1)
                    model = self.student()
                    trained = self.distiller(model) if kind == "distilled" else model
                    train = self.training_data(kind, seed, told)
                    self.fit(trained, train, f"{name}, seed {seed}", bar)
                    self._keep(model, f"student_{kind}_seed_{seed}")
                    self.students.setdefault(kind, []).append(model)

    def training_data(self, kind, seed, told=None):
        """Returns the batches that a kind of student learns from.

        Args:
            kind: `"alone"`, `"distilled"` or `"all_labels"`.
            seed: Which images are labelled, and their order.
            told: The images with the teacher's answers, for the distilled.
        """
        if kind == "all_labels" or (kind == "alone" and self.labels == len(self.data.train)):
            return self._batches(self.data.train, seed)
        labelled = self._labelled(seed)
        if kind == "distilled":

            def hide(number, example):
                x, y = example
                return x, tf.where(labelled[number], y, NO_LABEL)

            return self._batches(told.enumerate().map(hide), seed)
        few = self.data.train.enumerate().filter(lambda number, _: labelled[number])
        return self._batches(few.map(lambda _, example: example).cache(), seed)

    def export(self):
        """Exports the distilled student that does best on the validation split."""
        students = self.students["distilled"]
        scores = [self.validation_accuracy(student) for student in students]
        best = students[int(np.argmax(scores))]
        print("Exporting the distilled student that does best on the validation split:")
        for label, (file, quantize) in EXPORTS.items():
            result = keras_kd.export_student(
                best,
                self.folder / "models" / file,
                quantize=quantize,
                calibration_data=self.data.train.take(500).batch(50) if quantize else None,
                verify_data=self.test,
            )
            self.exports.append((label, result))

    def new_teacher(self):
        """Returns a new teacher."""
        return cnn(
            self.data.image_shape,
            self.data.num_classes,
            width=32,
            stages=2 if self.tiny_images else 3,
            depth=2,
            dropout=0.2,
            name="teacher",
        )

    def student(self):
        """Returns a new student."""
        shape, classes, width = (
            self.data.image_shape,
            self.data.num_classes,
            self.options.student_width,
        )
        if self.tiny_images:
            return mlp(shape, classes, hidden=(width or 16,), name="student")
        return cnn(shape, classes, width=width or 8, name="student")

    def distiller(self, student):
        """Returns a Distiller that learns from what the data tell of the teacher."""
        options = self.options
        return keras_kd.Distiller(student, alpha=options.alpha, temperature=options.temperature)

    def compile(self, model, rate):
        """Compiles a model for the demo's steps."""
        model.compile(
            keras.optimizers.Adam(
                keras.optimizers.schedules.CosineDecay(rate, self.epochs * self.steps)
            ),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=NO_LABEL),
        )

    def validation_accuracy(self, student):
        """Returns the share of the validation split that a student decides right."""
        labels = np.concatenate([y for _, y in self.validation.as_numpy_iterator()])
        return np.mean(student.predict(self.validation, verbose=0).argmax(-1) == labels)

    def told(self):
        """Returns the training images with what the teacher says of each, written once."""
        cache = keras_kd.TeacherCache(self.folder / "teacher_says", self.teacher)
        shown = keras.config.is_interactive_logging_enabled()
        keras.config.disable_interactive_logging()
        try:
            told = cache.label(self.data.train)
            return told.cache() if len(told) <= SMALL else told
        finally:
            if shown:
                keras.config.enable_interactive_logging()

    @functools.cached_property
    def _train_labels(self):
        return np.array(list(self.data.train.map(lambda _, y: y).as_numpy_iterator()))

    def _labelled(self, seed):
        """Returns which images are labelled: of all classes as many, as far as that goes."""
        labels = self._train_labels
        order = np.random.default_rng(seed).permutation(len(labels))
        # The first of every class, then the second of every class, and so on.
        turn = np.empty(len(labels), int)
        for each in np.unique(labels):
            of_class = order[labels[order] == each]
            turn[of_class] = np.arange(len(of_class))
        chosen = order[np.argsort(turn[order], kind="stable")][: self.labels]
        labelled = np.zeros(len(labels), bool)
        labelled[chosen] = True
        return tf.constant(labelled)

    def _batches(self, examples, seed):
        """Shuffled batches without end, so that all students take as many steps."""
        shuffled = examples.shuffle(min(len(self.data.train), SMALL), seed=seed)
        return shuffled.repeat().batch(BATCH_SIZE).prefetch(2)

    def fit(self, model, batches, name, bar, rate=None):
        """Trains a model for the demo's epochs, and shows it on the bar."""
        self.compile(model, rate or (TEACHER_RATE if name == "teacher" else STUDENT_RATE))
        bar.set_description(name)

        def tick(epoch, logs):
            bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
            bar.update()

        tick = keras.callbacks.LambdaCallback(on_epoch_end=tick)
        with warnings.catch_warnings():
            # The shares were settled on validation data: benchmarks/demo_settings.md.
            warnings.filterwarnings("ignore", message="kd_loss is")
            model.fit(
                batches,
                epochs=self.epochs,
                steps_per_epoch=self.steps,
                shuffle=False,
                verbose=0,
                callbacks=[tick],
            )

    def _keep(self, model, name):
        save_aside(model.save, self.folder / "models" / f"{name}.keras")  # no half a file

"""What the demo trains and exports."""

import keras
import numpy as np

try:
    import tqdm
except ImportError as error:
    raise ImportError('The demo needs more: `pip install "keras_kd[demo]"`.') from error

import keras_kd
from keras_kd.aside import save_aside
from keras_kd.models import cnn, mlp

EXPORTS = {
    "SavedModel": ("student_saved_model", None),
    "TFLite float32": ("student_float32.tflite", None),
    "TFLite float16": ("student_float16.tflite", "float16"),
    "TFLite int8": ("student_int8.tflite", "int8"),
}
BATCH_SIZE = 64
TEACHER_RATE, STUDENT_RATE = 3e-3, 1e-2


class Run:
    """One demo: a teacher, students alone and distilled, exports.

    Args:
        data: A `keras_kd.data.ImageData`.
        folder: Where everything is written.
        options: The parsed command line.
    """

    def __init__(self, data, folder, options):
        self.data, self.folder, self.options = data, folder, options
        self.models = {}  # name: trained model
        self.exports = []  # (label, ExportResult)
        self.epochs = options.epochs or int(np.clip(60_000 // len(data.train), 3, 60))
        self.tiny_images = min(data.image_shape[:2]) < 16
        shuffled = data.train.shuffle(min(len(data.train), 10_000), seed=0)
        self.train_batches = shuffled.batch(BATCH_SIZE).prefetch(2)
        self.validation = data.validation.batch(500)
        self.test = data.test.batch(500)

    def train(self):
        """Trains the teacher once, and the student alone and distilled for every seed."""
        seeds = range(self.options.seeds)
        print(
            f"{self.data.name}: {len(self.data.train)} examples to train on, "
            f"{len(self.data.test)} to test; {self.epochs} epochs"
        )
        total = self.epochs * (1 + 2 * len(seeds))
        with tqdm.tqdm(total=total, unit="epoch", dynamic_ncols=True) as bar:
            keras.utils.set_random_seed(0)
            teacher = self._teacher()
            self._fit(teacher, "teacher", bar)
            for seed in seeds:
                for kind in ("alone", "distilled"):
                    # The same first weights and the same order of examples for both kinds.
                    keras.utils.set_random_seed(seed + 1)
                    student = self._student()
                    name = f"student {kind}, seed {seed}"
                    self._fit(student, name, bar, teacher if kind == "distilled" else None)

    def export(self):
        """Exports the distilled student that does best on the validation split."""
        students = {n: m for n, m in self.models.items() if "distilled" in n}
        best = max(students, key=lambda name: self._validation_accuracy(students[name]))
        print(f"Exporting '{best}', the best of its kind on the validation split:")
        for label, (file, quantize) in EXPORTS.items():
            result = keras_kd.export_student(
                students[best],
                self.folder / "models" / file,
                quantize=quantize,
                calibration_data=self.data.train.take(500).batch(50) if quantize else None,
                verify_data=self.test,
            )
            self.exports.append((label, result))

    def _teacher(self):
        return cnn(
            self.data.image_shape,
            self.data.num_classes,
            width=32,
            stages=2 if self.tiny_images else 3,
            depth=2,
            dropout=0.2,
            name="teacher",
        )

    def _student(self):
        shape, classes = self.data.image_shape, self.data.num_classes
        if self.tiny_images:
            return mlp(shape, classes, hidden=(16,), name="student")
        return cnn(shape, classes, width=8, name="student")

    def _fit(self, model, name, bar, teacher=None):
        rate = TEACHER_RATE if name == "teacher" else STUDENT_RATE
        steps = self.epochs * -(-len(self.data.train) // BATCH_SIZE)
        trained = (
            model
            if teacher is None
            else keras_kd.Distiller(
                model, teacher, alpha=self.options.alpha, temperature=self.options.temperature
            )
        )
        trained.compile(
            keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        bar.set_description(name)

        def tick(epoch, logs):
            bar.set_postfix(accuracy=f"{logs['accuracy']:.3f}", refresh=False)
            bar.update()

        tick = keras.callbacks.LambdaCallback(on_epoch_end=tick)
        trained.fit(self.train_batches, epochs=self.epochs, verbose=0, callbacks=[tick])
        self.models[name] = model
        path = self.folder / "models" / (name.replace(", ", "_").replace(" ", "_") + ".keras")
        save_aside(model.save, path)  # Ctrl-C leaves no half a file

    def _validation_accuracy(self, student):
        labels = np.concatenate([y for _, y in self.validation.as_numpy_iterator()])
        return np.mean(student.predict(self.validation, verbose=0).argmax(-1) == labels)

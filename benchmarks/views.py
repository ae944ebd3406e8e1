"""Whether a few cached views do what a live teacher does on ever fresh augmentation.

    python benchmarks/views.py --data-dir DIR --teacher FILE   # prints what views.md shows
    python benchmarks/views.py --data-dir DIR --small          # the same table in a minute

A subset of CIFAR-10, WRN-16-2 to ResNet-8, mirror images and shifts by up to four pixels. Every
student sees as many images; live, the teacher labels each as it comes; from the cache, the views
come round again. Finished trainings are kept in the cache folder, so a stopped run continues.
"""

import argparse
import dataclasses
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from setup_lines import setup_lines
from speed_pairs import flip_and_shift

import keras_kd
from keras_kd.data import image_classification
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.models import resnet, wide_resnet

keras.config.disable_interactive_logging()
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
ALONE, LIVE = "student alone", "live teacher, fresh augmentation"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    images: int = 2_000
    epochs: int = 12
    views: tuple = (1, 4, 8)
    seeds: tuple = (0, 1, 2)
    test: int = 10_000
    batch_size: int = 64
    learning_rate: float = 2e-3


SMALL = Settings(images=128, epochs=2, views=(2,), seeds=(0,), test=100)


class Bench:
    """Trains a student for a row and a seed, once."""

    def __init__(self, settings, options):
        self.settings, self.folder = settings, options.cache.expanduser()
        self.folder.mkdir(parents=True, exist_ok=True)
        data = image_classification("cifar10", options.data_dir)
        self.train = data.train.take(settings.images).cache()
        self.test = next(data.test.batch(settings.test).as_numpy_iterator())
        if options.teacher:
            self.teacher = keras.saving.load_model(options.teacher, compile=False)
        else:
            keras.utils.set_random_seed(0)
            self.teacher = wide_resnet((32, 32, 3), 10, depth=16, widen=2, name="teacher")
            self.teacher.compile("adam", CROSS_ENTROPY)
            images, epochs = (self.train, 1) if settings is SMALL else (data.train, 8)
            self.teacher.fit(images.batch(128), epochs=epochs, verbose=0)

    def accuracies(self, row):
        return [self._accuracy(row, seed) for seed in self.settings.seeds]

    def _accuracy(self, row, seed):
        settings = dataclasses.asdict(self.settings)
        name = "-".join(str(settings[key]) for key in ("images", "epochs", "batch_size", "test"))
        file = self.folder / f"{row.replace(' ', '_').replace(',', '')}-{name}-{seed}.json"
        if not file.exists():
            start = time.perf_counter()
            accuracy = self._train(row, seed)
            seconds = round(time.perf_counter() - start, 1)
            file.write_text(json.dumps({"accuracy": accuracy, "seconds": seconds}))
            print(f"{row}, seed {seed}: {accuracy:.2f} in {seconds} s", file=sys.stderr, flush=True)
        return json.loads(file.read_text())["accuracy"]

    def _train(self, row, seed):
        settings = self.settings
        data, teacher = self.train, None
        if row in (ALONE, LIVE):
            data = data.map(_freshly_augmented, num_parallel_calls=tf.data.AUTOTUNE)
            teacher = self.teacher if row == LIVE else None
        else:
            views = int(row.split()[1])
            path = self.folder / f"views-{settings.images}-{views}"
            cache = keras_kd.TeacherCache(path, self.teacher)
            data = cache.label(data, augment=flip_and_shift, views=views)
        keras.utils.set_random_seed(seed)
        student = model = resnet((32, 32, 3), 10, depth=8, name="student")
        if row != ALONE:
            model = keras_kd.Distiller(student, teacher, alpha=0.1, temperature=4.0)
        steps = settings.epochs * -(-settings.images // settings.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
        model.compile(keras.optimizers.Adam(rate), CROSS_ENTROPY, jit_compile=False)
        batches = data.shuffle(settings.images, seed=seed).batch(settings.batch_size)
        model.fit(batches, epochs=settings.epochs, verbose=0)
        x, y = self.test
        answers = student.predict(x, batch_size=256, verbose=0).argmax(-1)
        return 100.0 * float(np.mean(answers == y))


def _freshly_augmented(image, label):
    seed = tf.random.uniform((2,), maxval=2**31 - 1, dtype=tf.int32)
    return flip_and_shift(image, seed), label


def main(arguments=None):
    """Runs the benchmark and prints its page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", default=os.environ.get("KERAS_KD_DATA_DIR"))
    parser.add_argument("--teacher", type=Path, help="a Keras file of a trained WRN-16-2")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/keras_kd/views"))
    parser.add_argument("--small", action="store_true", help="few images and epochs, one seed")
    options = parser.parse_args(arguments)
    settings = SMALL if options.small else Settings()
    bench = Bench(settings, options)
    rows = [ALONE, LIVE, *(f"cached, {views} views" for views in settings.views)]
    lines = [["row", "test accuracy", "seeds"]]
    for row in rows:
        found = bench.accuracies(row)
        spread = f" ± {np.std(found, ddof=1):.2f}" if len(found) > 1 else ""
        seeds = " ".join(f"{accuracy:.2f}" for accuracy in found)
        lines.append([row, f"{np.mean(found):.2f}{spread}", seeds])
    print(
        f"{settings.images:,} training images, {settings.epochs} epochs of batches of "
        f"{settings.batch_size}, Adam "
        f"{settings.learning_rate:g} with cosine decay, alpha 0.1, T 4. "
        f"Accuracy in % on {len(bench.test[1]):,} test images, seeds {settings.seeds}.\n"
    )
    print(markdown_table(lines) + "\n")
    print("\n".join(setup_lines("benchmarks/views.py")))


if __name__ == "__main__":
    main()

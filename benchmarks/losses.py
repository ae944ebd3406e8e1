"""What every loss gains: small students beside one teacher, on real images.

    python benchmarks/losses.py --data-dir DIR --teacher FILE   # prints what losses.md shows
    python benchmarks/losses.py --small                         # the same tables in minutes
    python benchmarks/losses.py --search cc_loss 1 10 100       # a weight for a loss

Two pairs. Convolutional: WRN-16-2 to ResNet-8 on a subset of CIFAR-10. Of attention: a vision
transformer to a smaller one on a subset of MNIST. Each loss is trained beside the labels (weight
1), and beside labels and KD (alpha 0.1, T 4).

The published weight of a loss is used, unless the student with it does clearly worse on the
validation images than the student alone: then the best of a few smaller weights there. The test
images are looked at for the tables only.

Every finished training is kept in the cache folder, so a stopped run continues where it was. The
teacher runs once on every training image and its mirror image; students read what it said. Only
`gradient_loss` needs the teacher itself.

`--data-dir` is where TFDS keeps its sets (default: the environment variable KERAS_KD_DATA_DIR, else
TFDS' own folder). `--teacher` is a Keras file of a trained WRN-16-2 with the layers of
`keras_kd.models.wide_resnet`; without it one is trained and kept in the cache.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from loss_rows import attention_rows, convolutional_rows
from setup_lines import setup_lines

import keras_kd
from keras_kd import losses
from keras_kd.data import image_classification
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.models import resnet, vision_transformer, wide_resnet

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
OTHER_WEIGHTS = (0.1, 0.01)  # times the published one, where that is too much
LATER_WEIGHTS = (1e-3, 1e-4, 1e-5, 1e-6)  # where these are too much too
MARGIN = 2.0  # % of accuracy, about two standard deviations between seeds


@dataclasses.dataclass(frozen=True)
class Pair:
    """A teacher, a student, and the data they meet on.

    Attributes:
        name: For the cache and the heading.
        dataset: A TFDS name.
        student: Makes a new student.
        teacher: Makes a new teacher, if none is given.
        recorded: The teacher's layers whose values travel with the data.
        rows: The losses, from the number of training examples.
        mirror: Whether mirror images are added.
        epochs: How often a student sees every image, in the full setting.
    """

    name: str
    dataset: str
    student: object
    teacher: object
    recorded: tuple
    rows: object
    mirror: bool
    epochs: int


CONVOLUTIONAL = Pair(
    "WRN-16-2 to ResNet-8 on CIFAR-10",
    "cifar10",
    lambda: resnet((32, 32, 3), 10, depth=8, name="student"),
    lambda: wide_resnet((32, 32, 3), 10, depth=16, widen=2, name="teacher"),
    ("stage1", "stage2", "stage3", "bn", "pool", "logits"),
    convolutional_rows,
    mirror=True,
    epochs=4,
)
ATTENTION = Pair(
    "Vision transformer of 4 blocks to one of 2 on MNIST",
    "mnist",
    lambda: vision_transformer((28, 28, 1), 10, width=32, depth=2, heads=2, name="student"),
    lambda: vision_transformer(
        (28, 28, 1), 10, width=64, depth=4, heads=4, dropout=0.1, name="teacher"
    ),
    (),  # attention is read from the layers, so the teacher runs
    attention_rows,
    mirror=False,
    epochs=12,
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    images: int = 2_000
    epochs: int | None = None  # None for the pair's own
    batch_size: int = 64
    learning_rate: float = 2e-3
    seeds: tuple = (0, 1, 2)
    validation: int = 2_000
    test: int = 10_000
    teacher_images: int = 45_000
    teacher_epochs: int = 4


SMALL = Settings(
    images=256, epochs=1, seeds=(0,), validation=100, test=200, teacher_images=512, teacher_epochs=1
)


class Last(keras.layers.Layer):
    """Gives the last of its inputs; the others are there to be read on the way."""

    def call(self, values):
        return values[-1]


class Bench:
    """Trains what the tables need, and each training once."""

    def __init__(self, pair, settings, data_dir, cache, teacher_file=None):
        settings = dataclasses.replace(settings, epochs=settings.epochs or pair.epochs)
        self.pair, self.settings, self.cache = pair, settings, cache
        cache.mkdir(parents=True, exist_ok=True)
        data = image_classification(pair.dataset, data_dir)
        self.train = first(data.train, settings.images)
        self.validation = first(data.validation, settings.validation)
        self.test = first(data.test, settings.test)
        if pair.mirror:
            x, y = self.train
            self.train = np.concatenate([x, x[:, :, ::-1]]), np.concatenate([y, y])
        self.teacher_file = teacher_file or self._trained_teacher(data)
        self.teacher = keras.saving.load_model(self.teacher_file, compile=False)
        self.told = {
            part: self.teacher.predict(x, batch_size=256, verbose=0)
            for part, (x, _) in {"validation": self.validation, "test": self.test}.items()
        }
        self._recorded = {}
        self.rows = pair.rows(len(self.train[0]))

    def result(self, seed, name=None, kd=False, weight=None, smoothing=0.0) -> dict:
        """Trains one student, if that has not been done, and returns its accuracies.

        Args:
            seed: Of the weights and the order.
            name: The row's loss; None for a student without.
            kd: Whether the teacher's outputs teach too.
            weight: The loss' weight; None for the published one.
            smoothing: Label smoothing of the student's own loss.
        """
        key = {"pair": self.pair.name, "seed": seed, "loss": name, "kd": kd, "weight": weight}
        key |= {"smoothing": smoothing, **dataclasses.asdict(self.settings)}
        for unused in ("seeds", "teacher_images", "teacher_epochs"):
            key.pop(unused)
        text = json.dumps(key, sort_keys=True)
        file = self.cache / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        if not file.exists():
            start = time.perf_counter()
            student = self._train(seed, name, kd, weight, smoothing)
            result = {"seconds": round(time.perf_counter() - start, 1)}
            for part in ("validation", "test"):
                x, y = getattr(self, part)
                answers = student.predict(x, batch_size=256, verbose=0).argmax(-1)
                result[part] = 100.0 * float(np.mean(answers == y))
                result[f"{part}_agreement"] = 100.0 * float(
                    np.mean(answers == self.told[part].argmax(-1))
                )
            keras.utils.clear_session()
            file.write_text(json.dumps({**key, **result}))
            shown = f"{name or 'no loss'} weight={weight} kd={kd} seed={seed}"
            print(f"{shown}: {result}", file=sys.stderr, flush=True)
        return json.loads(file.read_text())

    def weight(self, name):
        """Returns the row's weight and whether it is another than the published one."""
        seed = self.settings.seeds[0]
        alone = self.result(seed)["validation"]
        published = self.result(seed, name)["validation"]
        if published >= alone - MARGIN:
            return None
        weight = self.rows[name].make().weight
        tried = {None: published}
        for factor in (*OTHER_WEIGHTS, *LATER_WEIGHTS):
            if factor in LATER_WEIGHTS and max(tried.values()) >= alone - MARGIN:
                break
            tried[factor * weight] = self.result(seed, name, weight=factor * weight)["validation"]
        return max(tried, key=tried.get)

    def step_ratio(self, name, kd=False, steps=8, repeats=5):
        """Returns the time of a step with a live teacher over that of the student alone."""
        size = self.settings.batch_size
        x, y = (part[:size] for part in self.train)
        plain = self.pair.student()
        taught = self._distiller(self.pair.student(), name, kd, None, live=True)
        carried = {"inputs": x, "index": np.arange(len(x))}
        for model, inputs in ((plain, x), (taught, carried)):
            model.compile("adam", CROSS_ENTROPY, jit_compile=False)
            model.train_on_batch(inputs, y)

        def clock(model, inputs):
            start = time.perf_counter()
            for _ in range(steps):
                model.train_on_batch(inputs, y)
            return time.perf_counter() - start

        ratios = [clock(taught, carried) / clock(plain, x) for _ in range(repeats)]
        keras.utils.clear_session()
        return float(np.median(ratios))

    def _train(self, seed, name, kd, weight, smoothing):
        settings = self.settings
        keras.utils.set_random_seed(seed)
        x, y = self.train
        student = model = self.pair.student()
        if name is not None or kd:
            live = not self.pair.recorded or (name is not None and self.rows[name].live)
            if not live:
                x = {"image": x, **self._recordings(name)}
            model = self._distiller(student, name, kd, weight, live)
            x = {"inputs": x, "index": np.arange(len(y))}
        steps = settings.epochs * -(-len(y) // settings.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
        loss = CROSS_ENTROPY
        if smoothing:
            loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
            y = keras.utils.to_categorical(y, 10)
        model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
        model.fit(x, y, batch_size=settings.batch_size, epochs=settings.epochs, verbose=0)
        return student

    def _distiller(self, student, name, kd, weight, live):
        teacher = self.teacher
        if not live:
            student, teacher = self._on_recordings(student, name)
        chosen = {} if weight is None else {"weight": weight}
        return keras_kd.Distiller(
            student,
            teacher,
            alpha=0.1 if kd else 1.0,
            temperature=4.0,
            kd_loss=losses.KDLoss(teacher_from_logits=True) if kd else None,
            feature_losses=[] if name is None else [self.rows[name].make(**chosen)],
        )

    def _recorded_layers(self, name):
        layers = [] if name is None else self.rows[name].layers.values()
        return [layer for layer in self.pair.recorded if layer in layers or layer == "logits"]

    def _on_recordings(self, student, name):
        """Wraps the student, and what the teacher said under its layers' names, on one dict."""
        inputs = {"image": keras.Input(student.input_shape[1:], name="image")}
        values = []
        for layer in self._recorded_layers(name):
            shape = self.teacher.get_layer(layer).output.shape[1:]
            name = f"{layer}_value"
            inputs[name] = keras.Input(shape, name=name, dtype="float16")
            values.append(keras.layers.Identity(name=layer, dtype="float32")(inputs[name]))
        student = keras.Model(inputs, student(inputs["image"]))
        return student, keras.Model(inputs, Last()(values), name="recorded")

    def _recordings(self, name):
        if not self._recorded:
            reader = keras.Model(
                self.teacher.inputs,
                {layer: self.teacher.get_layer(layer).output for layer in self.pair.recorded},
            )
            x, _ = self.train
            parts = [reader.predict_on_batch(x[i : i + 256]) for i in range(0, len(x), 256)]
            for layer in self.pair.recorded:
                each = [part[layer].astype("float16") for part in parts]
                self._recorded[layer] = np.concatenate(each)
        return {f"{layer}_value": self._recorded[layer] for layer in self._recorded_layers(name)}

    def _trained_teacher(self, data):
        """Trains a teacher on the training split and keeps it."""
        settings = self.settings
        key = f"{self.pair.dataset}-{settings.teacher_images}-{settings.teacher_epochs}"
        file = self.cache / f"teacher-{key}.keras"
        if not file.exists():
            x, y = first(data.train, settings.teacher_images)
            keras.utils.set_random_seed(0)
            teacher = self.pair.teacher()
            steps = settings.teacher_epochs * -(-len(y) // 128)
            rate = keras.optimizers.schedules.CosineDecay(
                0.0, steps, warmup_target=2e-3, warmup_steps=steps // 10
            )
            teacher.compile(keras.optimizers.Adam(rate), CROSS_ENTROPY, jit_compile=False)
            teacher.fit(x, y, batch_size=128, epochs=settings.teacher_epochs, verbose=0)
            teacher.save(file)
        return file


def first(dataset, count):
    """Returns the first examples as arrays."""
    return next(dataset.batch(count).as_numpy_iterator())


def mean_and_sd(values):
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def table(bench, names):
    """Trains all that is missing and returns the table's lines."""
    seeds = bench.settings.seeds

    def cells(**arguments):
        results = [bench.result(seed, **arguments) for seed in seeds]
        return [mean_and_sd([r[part] for r in results]) for part in ("test", "test_agreement")]

    empty = ["", ""]
    rows = [
        ["student alone", "-", *cells(), *empty, "1.00"],
        ["label smoothing 0.1", "-", *cells(smoothing=0.1), *empty, ""],
        ["kd_loss", "0.9", *empty, *cells(kd=True), f"{bench.step_ratio(None, kd=True):.2f}"],
    ]
    for name in names:
        weight = bench.weight(name)
        shown = f"{bench.rows[name].make().weight:g}" if weight is None else f"**{weight:g}**"
        beside_labels = cells(name=name, weight=weight)
        beside_kd = cells(name=name, weight=weight, kd=True)
        ratio = f"{bench.step_ratio(name):.2f}"
        rows.append([name, shown, *beside_labels, *beside_kd, ratio])
    _, labels = bench.test
    correct = 100.0 * float(np.mean(bench.told["test"].argmax(-1) == labels))
    settings = bench.settings
    return [
        f"## {bench.pair.name}",
        "",
        f"Teacher {correct:.1f} % on {len(labels):,} test images. Students: {settings.images:,} "
        f"training images{' and their mirror images' if bench.pair.mirror else ''}, "
        f"{settings.epochs} epochs, batches of {settings.batch_size}, Adam "
        f"{settings.learning_rate:g} with cosine decay, seeds {seeds}; accuracy and agreement with "
        "the teacher in %, mean ± sd. Weights in bold were chosen on "
        f"{settings.validation:,} validation images, seed {seeds[0]}.",
        "",
        "| loss | weight | with labels | agreement | with labels and KD | agreement | step time |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *("| " + " | ".join(cells) + " |" for cells in rows),
        "",
    ]


def search(options, settings, name, weights):
    """Trains with each weight, beside the labels, and returns a table of validation accuracies."""
    bench = Bench(
        CONVOLUTIONAL, settings, options.data_dir, options.cache.expanduser(), options.teacher
    )

    def cell(**arguments):
        return mean_and_sd([bench.result(s, **arguments)["validation"] for s in settings.seeds])

    tried = ([f"{each:g}", cell(name=name, weight=each)] for each in weights)
    table = markdown_table([["weight", "validation"], ["alone", cell()], *tried])
    return [
        f"`{name}` beside the labels, {bench.pair.name}: accuracy in % on "
        f"{settings.validation:,} validation images, seeds {settings.seeds}.\n\n{table}\n",
    ]


def main(arguments=None):
    """Runs the benchmark and prints its page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", default=os.environ.get("KERAS_KD_DATA_DIR"))
    parser.add_argument("--teacher", type=Path, help="a Keras file of a trained WRN-16-2")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/keras_kd/losses"))
    parser.add_argument("--small", action="store_true", help="one epoch of 256 images, one seed")
    parser.add_argument("--only", nargs="+", help="these losses alone, by their names in the table")
    parser.add_argument("--search", nargs="+", help="a loss, and weights to try on validation")
    options = parser.parse_args(arguments)
    settings = SMALL if options.small else Settings()
    if options.search:
        name, *weights = options.search
        print("\n".join(search(options, settings, name, [float(each) for each in weights])))
        return
    print("Step time: a step with the live teacher over one of the student alone, median.\n")
    for pair in (CONVOLUTIONAL, ATTENTION):
        rows = pair.rows(settings.images)
        names = [name for name in rows if name in (options.only or rows)]
        if options.only and not names:
            continue
        teacher = options.teacher if pair is CONVOLUTIONAL else None
        bench = Bench(pair, settings, options.data_dir, options.cache.expanduser(), teacher)
        print("\n".join(table(bench, names)), flush=True)
    print("\n".join(setup_lines("benchmarks/losses.py")))


if __name__ == "__main__":
    main()

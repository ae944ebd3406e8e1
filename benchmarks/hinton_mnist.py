"""Reproduces the MNIST figures of Hinton, Vinyals and Dean (2015) with `keras_kd.Distiller`.

    python benchmarks/hinton_mnist.py --data-dir DIR     # prints what hinton_mnist.md shows
    python benchmarks/hinton_mnist.py --small            # the same table in a minute, on a subset

Paper: "Distilling the Knowledge in a Neural Network", section 3. `--data-dir` is where TFDS keeps
`mnist` (default: the environment variable KERAS_KD_DATA_DIR, else TFDS' own folder).

The test set is looked at once, at the end: temperature, alpha and the bias of class 3 are chosen on
the last sixth of the training images, with a teacher that has never seen them.

Every finished training is kept in the cache folder, and a stopped one continues at its last epoch.
On a processor without bfloat16 instructions `KERAS_BACKEND=jax` with `--dtype float32` is fastest.
"""

import argparse
import dataclasses
import hashlib
import itertools
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

import keras_kd
from keras_kd.data import image_classification
from keras_kd.models import mlp

SHAPE, CLASSES, MYTHICAL = (28, 28, 1), 10, 3
JITTER = 2  # pixels, each way


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one kind of net is trained; AdamW with a cosine decay to zero."""

    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    dropout: float = 0.0
    jitter: int = 0
    weight_decay: float = 0.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run. The temperatures and alphas are those tried on the validation split."""

    teacher: Recipe = Recipe(
        (1200, 1200), 240, 512, 2e-3, dropout=0.3, jitter=JITTER, weight_decay=0.3
    )
    student: Recipe = Recipe((800, 800), 25, 64, 1e-3)
    teacher_seeds: tuple[int, ...] = (0, 1, 2)
    seeds: tuple[int, ...] = (0, 1, 2)
    temperatures: tuple[float, ...] = (5.0, 20.0, 40.0)
    alphas: tuple[float, ...] = (0.1, 0.5)
    train: int = 60_000
    test: int = 10_000
    dtype: str = "mixed_bfloat16"  # of the training; every net is measured in float32


SMALL = Settings(
    teacher=Recipe((1200, 1200), 8, 256, 1e-3, dropout=0.3, jitter=JITTER),
    student=Recipe((800, 800), 8, 256, 1e-3),
    teacher_seeds=(0,),
    seeds=(0,),
    temperatures=(4.0, 20.0),
    alphas=(0.1,),
    train=6_000,
    test=2_000,
)
PAPER = {"teacher": 67, "alone": 146, "T 20": 74, "without 3": (206, 133), "bias": (109, 14)}


@dataclasses.dataclass(frozen=True)
class Data:
    """Training images and labels, and images and labels to measure on."""

    x: np.ndarray
    y: np.ndarray
    x_held_out: np.ndarray
    y_held_out: np.ndarray

    def errors(self, logits, only=None) -> int:
        """Counts the held-out images that the logits get wrong, those of one class or all."""
        wrong = logits.argmax(axis=1) != self.y_held_out
        return int((wrong if only is None else wrong & (self.y_held_out == only)).sum())


class Bench:
    """Trains what the table needs, and each training once."""

    def __init__(self, settings: Settings, cache: Path):
        self.settings = settings
        self.cache = cache
        cache.mkdir(parents=True, exist_ok=True)

    def teacher(self, data: Data, seed: int) -> dict[str, np.ndarray]:
        """Returns a teacher's logits on the training and the held-out images."""
        recipe = self.settings.teacher

        def train(backup):
            keras.utils.set_random_seed(seed)
            model = self._build(recipe, "teacher")
            compile_(model, recipe, len(data.x))
            batches = jittered(data.x, data.y, recipe)
            model.fit(batches, epochs=recipe.epochs, verbose=0, callbacks=[backup])
            return model

        return self._once("teacher", data, seed, recipe, train)

    def student(self, data: Data, seed: int, temperature=None, alpha=None, drop=None):
        """Returns a student's logits on the training and the held-out images.

        Args:
            data: What to train and measure on.
            seed: Of the student's weights and batches.
            temperature: T of the distillation; None trains on the labels alone.
            alpha: Weight of the labels.
            drop: A class whose images are left out of the transfer set.
        """
        recipe = self.settings.student
        keep = data.y != (-1 if drop is None else drop)

        def train(backup):
            x, y = data.x[keep], data.y[keep]
            if temperature is not None:
                # No teacher in the step: what it says of each image is computed once.
                x = {"inputs": x, "teacher_outputs": self._taught_by(data)[keep]}
            keras.utils.set_random_seed(seed)
            student = model = self._build(recipe, "student")
            if temperature is not None:
                model = keras_kd.Distiller(student, alpha=alpha, temperature=temperature)
            compile_(model, recipe, len(y))
            fit = {"batch_size": recipe.batch_size, "epochs": recipe.epochs, "verbose": 0}
            model.fit(x, y, callbacks=[backup], **fit)
            return student

        told = {"temperature": temperature, "alpha": alpha, "drop": drop}
        told["teacher"] = temperature and dataclasses.asdict(self.settings.teacher)
        return self._once("student", data, seed, recipe, train, **told)

    def _taught_by(self, data):
        """Returns the logits of the one teacher that all students of these data learn from."""
        return self.teacher(data, self.settings.teacher_seeds[0])["train"]

    def _build(self, recipe, name, dtype=None):
        keras.config.set_dtype_policy(dtype or self.settings.dtype)
        try:
            return mlp(SHAPE, CLASSES, recipe.hidden, dropout=recipe.dropout, name=name)
        finally:
            keras.config.set_dtype_policy("float32")

    def _once(self, kind, data, seed, recipe, train, **told):
        """Returns the logits of `train()`, from the cache if it has been run before."""
        key = {"kind": kind, "seed": seed, "train": len(data.x), "held_out": len(data.y_held_out)}
        key |= {"dtype": self.settings.dtype, "recipe": dataclasses.asdict(recipe), **told}
        text = json.dumps(key, sort_keys=True)
        file = self.cache / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
        if not file.exists():
            start = time.perf_counter()
            backup = keras.callbacks.BackupAndRestore(
                file.with_suffix(".backup"), double_checkpoint=True
            )
            trained = train(backup)
            model = self._build(recipe, kind, "float32")
            model.set_weights(trained.get_weights())
            model.save(file.with_suffix(".keras"))
            logits = {
                part: model.predict(x, batch_size=1000, verbose=0)
                for part, x in (("train", data.x), ("held_out", data.x_held_out))
            }
            np.savez(file.with_suffix(".npz"), **logits)
            result = {"errors": data.errors(logits["held_out"])}
            result["seconds"] = round(time.perf_counter() - start, 1)
            file.write_text(json.dumps({**key, **result}, indent=1))
            shown = {k: v for k, v in key.items() if k in ("seed", "temperature", "alpha", "drop")}
            print(f"{kind} of {len(data.x)} images {shown}: {result}", file=sys.stderr, flush=True)
        with np.load(file.with_suffix(".npz")) as logits:
            return dict(logits)


def compile_(model, recipe: Recipe, examples: int):
    """Compiles with the labels' loss and a learning rate that ends at zero."""
    steps = recipe.epochs * -(-examples // recipe.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=10,
    )


def jittered(x, y, recipe: Recipe):
    """Returns batches in which every image is shifted by its own few pixels."""
    jitter, size = recipe.jitter, x.shape[1]
    margin = ((0, 0), (jitter, jitter), (jitter, jitter))
    padded = np.pad(x[..., 0].astype("uint8"), margin)

    def shift(images, labels):
        offsets = tf.random.uniform((2, len(labels), 1), 0, 2 * jitter + 1, tf.int32)
        rows, columns = offsets[0] + tf.range(size), offsets[1] + tf.range(size)
        images = tf.gather(images, rows, axis=1, batch_dims=1)
        images = tf.gather(images, columns, axis=2, batch_dims=1)
        return images[..., None], labels

    dataset = tf.data.Dataset.from_tensor_slices((padded, y)).shuffle(len(y))
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread sleeps, and the end of an epoch waits for it
    return dataset.batch(recipe.batch_size).map(shift).prefetch(4).with_options(options)


def load(data_dir, settings: Settings) -> tuple[Data, Data]:
    """Returns the training images split for choosing, and all of them with the test images."""
    data = image_classification("mnist", data_dir)
    splits = [data.arrays(split) for split in ("train", "validation")]
    x, y = (np.concatenate(parts)[: settings.train] for parts in zip(*splits, strict=True))
    x_test, y_test = (part[: settings.test] for part in data.arrays("test"))
    cut = settings.train * 5 // 6
    return Data(x[:cut], y[:cut], x[cut:], y[cut:]), Data(x, y, x_test, y_test)


def choose(bench: Bench, data: Data) -> dict:
    """Chooses temperature, alpha and the bias of class 3 on the validation split."""
    settings, seed = bench.settings, bench.settings.seeds[0]
    teacher = bench.teacher(data, settings.teacher_seeds[0])
    found = {"teacher": data.errors(teacher["held_out"])}
    found["alone"] = data.errors(bench.student(data, seed)["held_out"])
    found["grid"] = {
        (temperature, alpha): data.errors(bench.student(data, seed, temperature, alpha)["held_out"])
        for temperature, alpha in itertools.product(settings.temperatures, settings.alphas)
    }
    found["best"] = min(found["grid"], key=found["grid"].get)

    logits = bench.student(data, seed, 20.0, 0.1, drop=MYTHICAL)["held_out"]
    biases = np.arange(0.0, 20.05, 0.1)
    errors = np.array([data.errors(raise_bias(logits, bias)) for bias in biases])
    found["bias"] = float(np.median(biases[errors == errors.min()]))
    return found


def raise_bias(logits, bias):
    """Adds to the logit of the class that was left out."""
    return logits + bias * (np.arange(CLASSES) == MYTHICAL)


def measure(bench: Bench, data: Data, chosen: dict) -> dict:
    """Returns the test errors of each row, one for each seed."""
    rows = {}

    def add(row, logits, only=None):
        rows.setdefault(row, []).append(data.errors(logits, only))

    for seed in bench.settings.teacher_seeds:
        add("teacher", bench.teacher(data, seed)["held_out"])
    for seed in bench.settings.seeds:
        add("alone", bench.student(data, seed)["held_out"])
        add("T 20", bench.student(data, seed, 20.0, 0.1)["held_out"])
        add("best", bench.student(data, seed, *chosen["best"])["held_out"])
        logits = bench.student(data, seed, 20.0, 0.1, drop=MYTHICAL)["held_out"]
        add("without 3", logits)
        add("without 3, threes", logits, MYTHICAL)
        logits = raise_bias(logits, chosen["bias"])
        add("bias", logits)
        add("bias, threes", logits, MYTHICAL)
    return rows


def report(settings: Settings, chosen: dict, rows: dict, data: tuple[Data, Data]) -> str:
    """Writes what the committed page shows."""
    choosing, final = data
    temperature, alpha = chosen["best"]
    names = {
        "teacher": ("Teacher: 2 x 1200, dropout, jitter", PAPER["teacher"]),
        "alone": ("Student: 2 x 800, alone", PAPER["alone"]),
        "T 20": ("Student distilled, T 20, alpha 0.1", PAPER["T 20"]),
        "best": (
            f"Student distilled, T {temperature:g}, alpha {alpha:g} (best on validation)",
            "-",
        ),
        "without 3": ("Distilled at T 20 without any 3", PAPER["without 3"][0]),
        "without 3, threes": ("- of these, on threes", PAPER["without 3"][1]),
        "bias": (f"The same, bias of class 3 raised by {chosen['bias']:.1f}", PAPER["bias"][0]),
        "bias, threes": ("- of these, on threes", PAPER["bias"][1]),
    }
    lines = [
        f"Errors on {len(final.y_held_out):,} test images, trained on {len(final.y):,}, "
        f"student seeds {settings.seeds}, teacher seeds {settings.teacher_seeds}; every student "
        "learns from the first teacher.",
        "",
        "| net | paper | mean | sd | each seed |",
        "|---|---:|---:|---:|---|",
    ]
    for row, (name, paper) in names.items():
        errors = np.array(rows[row])
        spread = f"{errors.std(ddof=1):.1f}" if len(errors) > 1 else "-"
        each = ", ".join(map(str, errors))
        lines.append(f"| {name} | {paper} | {errors.mean():.1f} | {spread} | {each} |")
    lines += [
        "",
        f"Chosen on {len(choosing.y_held_out):,} training images (validation), with teacher and "
        f"students trained on the other {len(choosing.y):,}, seed {settings.seeds[0]}. There the "
        f"teacher makes {chosen['teacher']} errors, the student alone {chosen['alone']}; "
        "distilled:",
        "",
        "| | " + " | ".join(f"alpha {alpha:g}" for alpha in settings.alphas) + " |",
        "|---|" + "---:|" * len(settings.alphas),
    ]
    for temperature in settings.temperatures:
        errors = [str(chosen["grid"][temperature, alpha]) for alpha in settings.alphas]
        lines.append(f"| T {temperature:g} | " + " | ".join(errors) + " |")
    lines += ["", *setup(settings)]
    return "\n".join(lines)


def setup(settings: Settings) -> list[str]:
    """Says on what and how the figures were made."""
    *where, command = setup_lines("benchmarks/hinton_mnist.py")
    recipes = [f"- teacher: {settings.teacher}", f"- student: {settings.student}"]
    return [*where, *recipes, command]


def main(arguments=None):
    """Runs the benchmark and prints its page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", default=os.environ.get("KERAS_KD_DATA_DIR"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/keras_kd/hinton_mnist"))
    parser.add_argument("--small", action="store_true", help="a subset and few epochs: a minute")
    parser.add_argument(
        "--dtype",
        default="mixed_bfloat16",
        help="policy of the trainings; float32 where the machine has no bfloat16 instructions",
    )
    options = parser.parse_args(arguments)
    settings = SMALL if options.small else Settings()
    settings = dataclasses.replace(settings, dtype=options.dtype)
    bench = Bench(settings, options.cache.expanduser())
    data = load(options.data_dir, settings)
    chosen = choose(bench, data[0])
    rows = measure(bench, data[1], chosen)
    print(report(settings, chosen, rows, data))


if __name__ == "__main__":
    main()

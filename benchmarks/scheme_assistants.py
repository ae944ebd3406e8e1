"""Teacher assistants between plain nets of 10, 4 and 2 layers on CIFAR-10: TAKD, DGKD and KD.

    python benchmarks/scheme_assistants.py --data-dir DIR               # short: hours on 2 cores
    python benchmarks/scheme_assistants.py --data-dir DIR --recipe paper
    python benchmarks/scheme_assistants.py --small                      # a minute, on digits

What each model says of the images is kept, so that the large ones run once. A stopped script goes
on at its last whole epoch.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from choose import choose
from setup_lines import setup_lines
from task_bench import TaskBench, mean_and_sd, task_options

import keras_kd
from keras_kd.data import digits, image_classification

SCRIPT = "benchmarks/scheme_assistants.py"
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
# What stands between two poolings: channels of each convolution.
NETS = {
    "net 10": ((32, 32), (64, 64), (128, 128), (256, 256, 256, 256)),
    "net 4": ((16, 16), (32, 32)),
    "net 2": ((16,), (16,)),
}
HIDDEN = {"net 10": 128}  # the one with a dense layer before its last


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything.

    Attributes:
        epochs: Of every training.
        rate: SGD's, with momentum 0.9.
        cosine: Whether the rate falls to 0; else it is constant.
        views: How many crops and mirror images of each example the teachers are asked about, and
            whether there are any.
    """

    recipe: str = "short"
    epochs: int = 10
    batch_size: int = 128
    rate: float = 0.05
    cosine: bool = True
    views: int = 1
    weight_decay: float = 1e-4
    alphas: tuple = (0.1, 0.5)
    temperatures: tuple = (2.0, 5.0)
    candidates: int = 4
    seeds: tuple = (0, 1, 2, 3, 4)


RECIPES = {
    "short": Settings(),
    "paper": Settings("paper", epochs=160, rate=0.01, cosine=False),
    "modern": Settings("modern", epochs=160, views=16),
}
SMALL = Settings("small", epochs=2, batch_size=64, views=2, candidates=1, seeds=(0,))


class Assistants:
    """The data, and the trainings of the rows.

    Args:
        settings: The `Settings`.
        options: What `task_options` returned.
        data: An `ImageData`.
    """

    def __init__(self, settings, options, data):
        self.settings, self.bench = settings, TaskBench(SCRIPT, settings, options)
        self.shape = data.image_shape
        self.splits = {name: data.arrays(name) for name in ("train", "validation", "test")}

    def net(self, name):
        """Returns one of the `NETS`, new."""
        layers = keras.layers
        parts = [keras.Input(self.shape), layers.Rescaling(1 / 127.5, offset=-1.0)]
        for stage in NETS[name]:
            for channels in stage:
                parts += [layers.Conv2D(channels, 3, padding="same", use_bias=False)]
                parts += [layers.BatchNormalization(momentum=0.9), layers.ReLU()]
            parts.append(layers.MaxPooling2D(2, padding="same"))
        parts.append(layers.Flatten())
        if name in HIDDEN:
            parts.append(layers.Dense(HIDDEN[name], activation="relu"))
        return keras.Sequential([*parts, layers.Dense(10)], name=name.replace(" ", "_"))

    def alone(self, name):
        """Returns what trains a net on the labels."""

        def train(seed):
            model = self._trained_alone(name, f"{name} alone {seed}")
            return self.figures_of(model)

        return train

    def teacher(self):
        """Returns the trained net 10."""
        return self.bench.teacher(lambda: self._trained_alone("net 10", "net 10"), "net 10")

    def chain(self, teacher, names, alpha, temperature, densely=False):
        """Returns what distils from the teacher to nets of these names, one after another."""

        def train(seed):
            kept = "-".join([*names, "densely" * densely, str(alpha), str(temperature), str(seed)])
            result = keras_kd.schemes.assistant_chain(
                [teacher, *(self.net(name) for name in names)],
                *self.splits["train"],
                compile=self._compiled,
                distiller={"alpha": alpha, "temperature": temperature},
                densely=densely,
                folder=self.bench.file(kept, ""),
                cache=self._cache(),
                epochs=self.settings.epochs,
                batch_size=self.settings.batch_size,
                verbose=0,
            )
            return self.figures_of(result.student)

        return train

    def figures_of(self, model):
        """Returns the accuracy on validation and test data in %."""
        found = {}
        for split, figure in (("validation", "validation"), ("test", "accuracy")):
            x, y = self.splits[split]
            answers = model.predict(x, batch_size=500, verbose=0).argmax(-1)
            found[figure] = 100.0 * float(np.mean(answers == y))
        return found

    def _trained_alone(self, name, kept):
        model = self.net(name)
        model.compile(**self._compiled())
        x, y = self.splits["train"]
        batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(8192)
        if self.settings.views > 1:
            seeds = tf.data.Dataset.random(seed=0).batch(2, drop_remainder=True)
            batches = tf.data.Dataset.zip(batches, seeds).map(
                lambda example, seed: (_cropped(example[0], seed), example[1]),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        model.fit(
            batches.batch(self.settings.batch_size).prefetch(2),
            epochs=self.settings.epochs,
            callbacks=[keras.callbacks.BackupAndRestore(self.bench.file(kept, ".backup"))],
            verbose=0,
        )
        return model

    def _cache(self):
        kept = {"path": self.bench.file("answers", "")}
        if self.settings.views > 1:
            kept |= {"augment": _cropped, "views": self.settings.views}
        return kept

    def _compiled(self):
        settings = self.settings
        steps = settings.epochs * -(-len(self.splits["train"][1]) // settings.batch_size)
        rate = settings.rate
        if settings.cosine:
            rate = keras.optimizers.schedules.CosineDecay(rate, steps)
        optimizer = keras.optimizers.SGD(rate, 0.9, weight_decay=settings.weight_decay)
        return {"optimizer": optimizer, "loss": LOSS, "jit_compile": False}


def _cropped(image, seed):
    """Crops an image out of itself with a border of 4 pixels, and mirrors it by chance."""
    padded = tf.pad(image, [[4, 4], [4, 4], [0, 0]])
    crop = tf.image.stateless_random_crop(padded, tf.shape(image), seed)
    return tf.image.stateless_random_flip_left_right(crop, seed)


def main(arguments=None):
    """Runs the trainings and prints the section."""
    options = task_options(
        __doc__,
        arguments,
        lambda parser: parser.add_argument("--recipe", choices=RECIPES, default="short"),
    )
    settings = SMALL if options.small else RECIPES[options.recipe]
    data = digits() if options.small else image_classification("cifar10", options.data_dir)
    task = Assistants(settings, options, data)
    teacher = task.teacher()
    chosen, tried = choose(
        task.bench,
        {
            "KD": {
                f"KD from net 10, alpha {alpha:g}, T {temperature:g}": (alpha, temperature)
                for alpha in settings.alphas
                for temperature in settings.temperatures
            }
        },
        lambda candidate: task.chain(teacher, ["net 2"], *candidate),
        "validation accuracy in %",
    )
    ((kd, train),) = chosen.items()
    alpha, temperature = (float(part.split(" ")[-1]) for part in kd.split(", ")[1:])
    over = ["net 4", "net 2"]
    rows = {
        "net 4 alone": task.alone("net 4"),
        "net 2 alone": task.alone("net 2"),
        kd: train,
        "TAKD over net 4": task.chain(teacher, over, alpha, temperature),
        "DGKD over net 4": task.chain(teacher, over, alpha, temperature, densely=True),
    }
    quality = task.bench.figures("net 10", 0, lambda _: task.figures_of(teacher))
    first = ["net 10, which teaches", mean_and_sd([quality["accuracy"]])]
    table = task.bench.table(rows, {"accuracy": "test accuracy in %"}, [first])
    sizes = " / ".join(f"{len(labels):,}" for _, labels in task.splits.values())
    parameters = ", ".join(f"{name} {task.net(name).count_params():,}" for name in NETS)
    fall = "with cosine decay" if settings.cosine else "constant"
    seen = "crops and mirror images" if settings.views > 1 else "images as they are"
    print(
        f"## Assistants: {data.name}, recipe {settings.recipe}\n\n{sizes} images to train, "
        f"validate and test. Plain nets as in the paper's code, BatchNormalization behind each "
        f"convolution; parameters: {parameters}. {settings.epochs} epochs in batches of "
        f"{settings.batch_size}, SGD {settings.rate:g} {fall}, momentum 0.9, decay "
        f"{settings.weight_decay:g}, {seen}. Alpha and T chosen for KD on the validation data with "
        "the first seed, and the same for the chains; the last epoch's weights. Mean ± standard "
        f"deviation over seeds {settings.seeds}; the teacher was trained once.\n\n{table}\n\n"
        f"The candidates:\n\n{tried}\n"
    )
    recipe = f" --recipe {settings.recipe}" * (settings.recipe not in ("short", "small"))
    print(*setup_lines(SCRIPT + recipe), "", sep="\n", flush=True)


if __name__ == "__main__":
    main()

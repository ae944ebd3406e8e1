"""A model that teaches itself anew, beside the same model trained longer, and beside four of it.

    python benchmarks/scheme_born_again.py --data-dir DIR   # prints its section of schemes.md
    python benchmarks/scheme_born_again.py --small          # a minute, on scikit-learn's digits

Three generations and their ensemble. What they cost, four trainings, goes in the rows beside them
into one training that is four times as long, and into four models that know nothing of each other.
"""

import dataclasses

import keras
import numpy as np
from choose import choose
from task_bench import TaskBench, mean_and_sd, sets_of, task_options
from word_ids import word_ids

from keras_kd import schemes
from keras_kd.data import digits
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.models import cnn, text_cnn

SCRIPT = "benchmarks/scheme_born_again.py"
GENERATIONS = 3
TRAININGS = GENERATIONS + 1
FOUR = f"mean of {TRAININGS} models trained alone"
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything, on one data set."""

    data: str = "digits"
    epochs: int = 30
    batch_size: int = 64
    rates: tuple = (1e-3, 2e-3, 4e-3, 8e-3)
    alphas: tuple = (0.0, 0.5)
    temperatures: tuple = (1.0, 4.0)
    length: int = 24
    words: int = 8_000
    candidates: int = 4
    seeds: tuple = (0, 1, 2, 3, 4)


FULL = (
    Settings(epochs=60, rates=(4e-3, 8e-3, 1.6e-2, 3.2e-2)),
    Settings("trec6", epochs=10, seeds=(0, 1, 2)),
)
SMALL = (Settings(epochs=2, candidates=1, seeds=(0,)),)


class BornAgain:
    """The data, and the trainings of its rows.

    Args:
        settings: The `Settings`.
        options: What `task_options` returned.
    """

    def __init__(self, settings, options):
        self.settings, self.bench = settings, TaskBench(SCRIPT, settings, options)
        self.splits, self.net = (
            _images() if settings.data == "digits" else _sentences(settings, options.data_dir)
        )

    def once(self, rate, times=1):
        """Returns what trains one model on the labels, for some times the epochs."""

        def train(_):
            model = self.net()
            epochs = times * self.settings.epochs
            model.compile(**self._compiled(rate, epochs)())
            self._fit(model.fit, epochs=epochs)
            return self._figures(self._probabilities(model))

        return train

    def four_alone(self, rate):
        """Returns what trains four models on the labels: the figures of the mean of all."""

        def train(seed):
            answers = []
            for number in range(TRAININGS):
                keras.utils.set_random_seed(100 * (seed + 1) + number)
                model = self.net()
                model.compile(**self._compiled(rate, self.settings.epochs)())
                self._fit(model.fit, epochs=self.settings.epochs)
                answers.append(self._probabilities(model))
            return self._figures(_mean(answers))

        return train

    def born_again(self, rate, alpha, temperature):
        """Returns what trains the generations: the last one's figures, and those of the others."""

        def train(_):
            result = self._fit(
                schemes.born_again,
                self.net,
                generations=GENERATIONS,
                compile=self._compiled(rate, self.settings.epochs),
                distiller={"alpha": alpha, "temperature": temperature},
                epochs=self.settings.epochs,
            )
            answers = [self._probabilities(model) for model in result.models.values()]
            figures = self._figures(answers[-1])
            for number, each in enumerate(answers):
                figures[f"generation {number}"] = self._figures(each)["accuracy"]
            return figures | {"ensemble": self._figures(_mean(answers))["accuracy"]}

        return train

    def _compiled(self, rate, epochs):
        """Returns a function that gives what a model is compiled with, an optimizer of its own."""
        steps = epochs * -(-len(self.splits["train"][1]) // self.settings.batch_size)

        def arguments():
            decay = keras.optimizers.schedules.CosineDecay(rate, steps)
            return {"optimizer": keras.optimizers.Adam(decay), "loss": LOSS, "jit_compile": False}

        return arguments

    def _fit(self, fit, *first, **arguments):
        x, y = self.splits["train"]
        return fit(*first, x, y, batch_size=self.settings.batch_size, verbose=0, **arguments)

    def _probabilities(self, model):
        """Returns the model's probabilities for validation and test data."""
        return {
            split: keras.ops.convert_to_numpy(
                keras.ops.softmax(model.predict(self.splits[split][0], batch_size=512, verbose=0))
            )
            for split in ("validation", "test")
        }

    def _figures(self, answers):
        hits = {
            split: 100.0 * float(np.mean(values.argmax(-1) == self.splits[split][1]))
            for split, values in answers.items()
        }
        return {"validation": hits["validation"], "accuracy": hits["test"]}


def _mean(answers):
    return {split: np.mean([each[split] for each in answers], 0) for split in answers[0]}


def _images():
    data = digits()
    splits = {name: data.arrays(name) for name in ("train", "validation", "test")}
    return splits, lambda: cnn(data.image_shape, 10, width=4, stages=2)


def _sentences(settings, data_dir):
    splits, size, classes = word_ids(settings.data, data_dir, settings.words, settings.length)
    return splits, lambda: text_cnn(settings.length, size, classes)


def rows_of(task):
    """Returns the table of results and that of the candidates."""
    settings, bench = task.settings, task.bench
    heading = "validation accuracy in %"
    once = {f"one training, rate {rate:g}": rate for rate in settings.rates}
    chosen, tried = choose(bench, {"once": once}, task.once, heading)
    (alone,) = chosen
    longer = {
        f"{TRAININGS} times as long, rate {rate:g}": (rate, TRAININGS) for rate in settings.rates
    }
    again = {
        f"alpha {alpha:g}, T {temperature:g}": (once[alone], alpha, temperature)
        for alpha in settings.alphas
        for temperature in settings.temperatures
    }
    chosen_longer, tried_longer = choose(
        bench, {"longer": longer}, lambda candidate: task.once(*candidate), heading
    )
    chosen_again, tried_again = choose(
        bench, {"again": again}, lambda candidate: task.born_again(*candidate), heading
    )
    (long,), (taught,) = chosen_longer, chosen_again
    generations = [f"generation {number}" for number in range(1, TRAININGS)]
    rows = [
        (alone, alone, chosen[alone], "accuracy"),
        (long, long, chosen_longer[long], "accuracy"),
        *((f"{row}, {taught}", taught, chosen_again[taught], row) for row in generations),
        (f"mean of the {TRAININGS} generations", taught, chosen_again[taught], "ensemble"),
        (FOUR, FOUR, task.four_alone(once[alone]), "accuracy"),
    ]
    lines = [["row", "test accuracy in %"]]
    for row, kept_as, train, figure in rows:
        found = [bench.figures(kept_as, seed, train)[figure] for seed in settings.seeds]
        lines.append([row, mean_and_sd(found)])
    return markdown_table(lines), "\n\n".join((tried, tried_longer, tried_again))


def main(arguments=None):
    """Runs the trainings and prints the section."""
    options = task_options(__doc__, arguments)
    print("## Born again: three generations and their ensemble\n")
    for settings in sets_of(SMALL if options.small else FULL, options):
        task = BornAgain(settings, options)
        table, tried = rows_of(task)
        sizes = " / ".join(f"{len(labels):,}" for _, labels in task.splits.values())
        model = task.net()
        print(
            f"### {settings.data}\n\n{sizes} examples to train, validate and test. {model.name} of "
            f"{model.count_params():,} parameters, {settings.epochs} epochs in batches of "
            f"{settings.batch_size}, Adam with cosine decay. Rate, then alpha and T at that rate, "
            "chosen on the validation data with the first seed; the last epoch's weights. Mean ± "
            f"standard deviation over seeds {settings.seeds}.\n\n{table}\n\nThe candidates:\n\n"
            f"{tried}\n",
            flush=True,
        )
    task.bench.print_setup()


if __name__ == "__main__":
    main()

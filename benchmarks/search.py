"""What a search of thirty trials brings: distilled, and the student alone searched for as long.

    python benchmarks/search.py --data-dir DIR   # prints search.md
    python benchmarks/search.py --small          # a minute, on scikit-learn's digits

Both sides have as many trials and the same range of learning rates. The teacher answers once for
all trials. The searches are kept in the cache folder, so a stopped run continues.
"""

import dataclasses
import functools
import time

import keras
import optuna
import tensorflow as tf
from task_bench import TaskBench, sets_of, task_options
from word_ids import word_ids

import keras_kd
from keras_kd.data import digits
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.models import cnn, text_cnn

SCRIPT = "benchmarks/search.py"
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RATES = (3e-4, 3e-2, "log")
UNTUNED = {"alpha": 0.1, "temperature": 4.0, "rate": 1e-3}  # the defaults of Distiller and of Adam


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything, on one data set."""

    data: str = "digits"
    trials: int = 30
    epochs: int = 30
    teacher_epochs: int = 60
    batch_size: int = 64
    length: int = 24
    words: int = 8_000
    seeds: tuple = (0, 1, 2, 3, 4)


FULL = (Settings(), Settings("trec6", epochs=8, teacher_epochs=12))
SMALL = (Settings(trials=2, epochs=2, teacher_epochs=2, seeds=(0, 1)),)


class Searched:
    """A data set, a teacher, and the two searches on it.

    Args:
        settings: The `Settings`.
        options: What `task_options` returned.
    """

    def __init__(self, settings, options):
        self.settings, self.bench = settings, TaskBench(SCRIPT, settings, options)
        make = _images if settings.data == "digits" else _sentences
        self.splits, self.student, self.make_teacher = make(settings, options.data_dir)
        self.validation = self._batches("validation")
        teacher = self.bench.teacher(self._trained_teacher)
        self.teacher = teacher
        cache = keras_kd.TeacherCache(self.bench.file("answers", ""), teacher)
        examples = tf.data.Dataset.from_tensor_slices(self.splits["train"])
        count = len(self.splits["train"][1])
        self.train = cache.label(examples).shuffle(count).batch(settings.batch_size)

    def distiller(self, settings, teacher=None):
        """Returns a compiled Distiller with these settings."""
        model = keras_kd.Distiller(
            self.student(),
            teacher,
            alpha=settings["alpha"],
            temperature=settings["temperature"],
        )
        return self._compiled(model, settings["rate"])

    def alone(self, settings):
        """Returns the student alone, compiled, on the same data."""
        model = keras_kd.Distiller(self.student(), kd_loss=None, alpha=1.0)
        return self._compiled(model, settings["rate"])

    def pair(self):
        """Returns the two searches; what is kept is not searched again."""
        return keras_kd.tuning.search_pair(
            self.distiller,
            {"alpha": (0.0, 1.0), "temperature": (1.0, 8.0), "rate": RATES},
            self.train,
            make_student=self.alone,
            student_space={"rate": RATES},
            trials=self.settings.trials,
            storage=self.bench.file("study", ".db"),
            validation_data=self.validation,
            epochs=self.settings.epochs,
            verbose=0,
        )

    def times(self, _):
        """Returns the seconds of both searches, and of a training live and from the cache."""
        start = time.perf_counter()
        self.pair()
        found = {"search": time.perf_counter() - start}
        x, y = self.splits["train"]
        live = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(y))
        sides = {
            "live": (live.batch(self.settings.batch_size), self.teacher),
            "cached": (self.train, None),
        }
        for name, (data, teacher) in sides.items():
            model = self.distiller(UNTUNED, teacher)
            start = time.perf_counter()
            model.fit(data, epochs=self.settings.epochs, verbose=0)
            found[name] = time.perf_counter() - start
        return found

    def report(self, pair):
        """Returns what test data say of both sides, untuned and searched, of new seeds."""
        makers = {
            "alone, untuned": functools.partial(self.alone, UNTUNED),
            "distilled, untuned": functools.partial(self.distiller, UNTUNED),
            "alone, searched": functools.partial(self.alone, pair.alone.best_settings),
            "distilled, searched": functools.partial(self.distiller, pair.distilled.best_settings),
        }
        kinds = {
            name: [self._student_of(make, s) for s in self._seeds] for name, make in makers.items()
        }
        found = keras_kd.compare({"teacher": self.teacher, **kinds}, self._batches("test"))
        rows = [["model", "test accuracy in %", "calibration error in %"]]
        for row in found.summaries:
            cells = (_mean_and_sd(row, figure) for figure in ("accuracy", "ece"))
            rows.append([row["model"], *cells])
        return "\n".join([markdown_table(rows), "", *(f"- {said}" for said in found.verdicts())])

    @property
    def _seeds(self):
        return [20_000 + seed for seed in self.settings.seeds]  # that no trial has had

    def _student_of(self, make, seed):
        keras.utils.set_random_seed(seed)
        model = make()
        model.fit(self.train, epochs=self.settings.epochs, verbose=0)
        return model.student

    def _compiled(self, model, rate):
        steps = self.settings.epochs * len(self.train)
        decay = keras.optimizers.schedules.CosineDecay(rate, steps)
        model.compile(keras.optimizers.Adam(decay), LOSS, metrics=["accuracy"], jit_compile=False)
        return model

    def _trained_teacher(self):
        teacher = self.make_teacher()
        x, y = self.splits["train"]
        steps = self.settings.teacher_epochs * -(-len(y) // self.settings.batch_size)
        decay = keras.optimizers.schedules.CosineDecay(2e-3, steps)
        teacher.compile(keras.optimizers.Adam(decay), LOSS, jit_compile=False)
        teacher.fit(x, y, batch_size=64, epochs=self.settings.teacher_epochs, verbose=0)
        return teacher

    def _batches(self, split):
        return tf.data.Dataset.from_tensor_slices(self.splits[split]).batch(512)


def _mean_and_sd(row, figure):
    spread = f" ± {100 * row[f'{figure}_sd']:.2f}" if f"{figure}_sd" in row else ""
    return f"{100 * row[figure]:.2f}{spread}"


def _images(settings, _):
    data = digits()
    splits = {name: data.arrays(name) for name in ("train", "validation", "test")}
    return (
        splits,
        lambda: cnn(data.image_shape, 10, width=4, stages=2, name="student"),
        lambda: cnn(data.image_shape, 10, width=32, stages=2, depth=2, name="teacher"),
    )


def _sentences(settings, data_dir):
    splits, size, classes = word_ids(settings.data, data_dir, settings.words, settings.length)
    arguments = (settings.length, size, classes)
    return (
        splits,
        lambda: text_cnn(*arguments, width=32, filters=16, name="student"),
        lambda: text_cnn(*arguments, width=128, filters=100, name="teacher"),
    )


def main(arguments=None):
    """Runs the searches and prints the page."""
    options = task_options(__doc__, arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print("# What a search brings\n")
    for settings in sets_of(SMALL if options.small else FULL, options):
        task = Searched(settings, options)
        times, pair = task.bench.figures("times", 0, task.times), task.pair()
        sides = {"distilled": pair.distilled, "alone": pair.alone}
        lines = [["search", "best on validation in %", "its settings", "trials given up"]]
        for name, result in sides.items():
            chosen = ", ".join(f"{key} {value:.3g}" for key, value in result.best_settings.items())
            given_up = sum(row["state"] == "pruned" for row in result.rows)
            lines.append([name, f"{100 * result.best_value:.2f}", chosen, str(given_up)])
        teacher, student = (make().count_params() for make in (task.make_teacher, task.student))
        print(
            f"## {settings.data}\n\n{settings.trials} trials a side of {settings.epochs} epochs, "
            f"Adam with cosine decay; teacher {teacher:,} parameters, student {student:,}. Both "
            f"searches together took {times['search']:.0f} s; a whole training takes "
            f"{times['live']:.1f} s beside a live teacher and {times['cached']:.1f} s from the "
            f"cache.\n\n{markdown_table(lines)}\n\nOn test data, {len(settings.seeds)} new seeds "
            f"each; untuned: alpha {UNTUNED['alpha']}, T {UNTUNED['temperature']}, rate "
            f"{UNTUNED['rate']}.\n\n{task.report(pair)}\n",
            flush=True,
        )
    task.bench.print_setup()


if __name__ == "__main__":
    main()

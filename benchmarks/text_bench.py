"""Teachers and students of the benchmark on sentences, on one data set."""

import dataclasses
import functools
import math

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from task_bench import TaskBench
from text_teacher import fine_tuned, pretrained, tiny

import keras_kd
from keras_kd.data import text_classification
from keras_kd.features import Tap
from keras_kd.models import text_bilstm, text_cnn, text_transformer

SCRIPT = "benchmarks/task_text.py"
UNKNOWN = -1  # stands for a label that is withheld
STUDENTS = {
    "text CNN": (text_cnn, "words"),
    "BiLSTM": (text_bilstm, "words"),
    "transformer": (text_transformer, "pieces"),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything, on one data set."""

    data: str = "sst2_sentences"
    length: int = 40
    words: int = 8_000
    examples: int | None = None
    seeds: tuple = (0, 1, 2)
    epochs: int = 6
    batch_size: int = 128
    learning_rate: float = 2e-3
    teacher_epochs: int = 2
    teacher_rate: float = 1e-4
    share: float = 0.1
    alphas: tuple = (0.1, 0.5)
    temperatures: tuple = (1.0, 4.0)
    weights: tuple = (0.1, 1.0)
    mse_alphas: tuple = (0.0, 0.1)


class TextBench:
    """Trains each teacher, and each student for a row and a seed, once.

    Args:
        settings: The `Settings`.
        options: What `task_options` returned.
    """

    def __init__(self, settings, options):
        self.settings, self.bench = settings, TaskBench(SCRIPT, settings, options)
        data = text_classification(settings.data, options.data_dir)
        splits = {name: data.arrays(name) for name in ("train", "validation", "test")}
        self.texts = {name: texts[: settings.examples] for name, (texts, _) in splits.items()}
        self.labels = {name: labels[: settings.examples] for name, (_, labels) in splits.items()}
        self.classes, train = data.num_classes, self.texts["train"]
        self.words = keras.layers.TextVectorization(
            settings.words, output_sequence_length=settings.length
        )
        self.words.adapt(train)
        make = functools.partial(tiny, texts=train) if options.small else pretrained
        pieces, self._backbone = make(settings.length)
        self.sizes = {
            "words": self.words.vocabulary_size(),
            "pieces": pieces.tokenizer.vocabulary_size(),
        }
        cuts = {"words": self.words, "pieces": lambda texts: pieces(texts)["token_ids"]}
        self.ids = {
            kind: {
                name: np.asarray(cut(tf.constant(texts))).astype("int32")
                for name, texts in self.texts.items()
            }
            for kind, cut in cuts.items()
        }
        self.tenth, _ = train_test_split(
            np.arange(len(train)),
            train_size=settings.share,
            stratify=self.labels["train"],
            random_state=0,
        )

    @functools.cached_property
    def teacher(self):
        """The teacher that was fine-tuned on all labels."""
        return self._teacher("teacher", np.arange(len(self.texts["train"])), 1)

    @functools.cached_property
    def teacher_of_tenth(self):
        """The teacher that was fine-tuned on the labels that are not withheld."""
        return self._teacher("teacher of a tenth", self.tenth, 2)

    def _teacher(self, name, rows, factor):
        settings = self.settings
        return self.bench.teacher(
            lambda: fine_tuned(
                self._backbone(),
                self.ids["pieces"]["train"][rows],
                self.labels["train"][rows],
                self.classes,
                epochs=factor * settings.teacher_epochs,
                learning_rate=settings.teacher_rate,
            ),
            name,
        )

    def teacher_figures(self, name, teacher):
        """Returns a teacher's figures, measured once."""
        return self.bench.figures(name, 0, lambda _: self.measured(teacher, "pieces"))

    @functools.cached_property
    def blocks(self):
        """The names of the teacher's middle and last block."""
        layers = self.teacher.get_layer("bert_backbone").layers
        names = [x.name for x in layers if x.name.startswith("transformer_layer")]
        return names[len(names) // 2 - 1], names[-1]

    @functools.cached_property
    def taught(self):
        """The training sentences with the teacher's answers and what its blocks hold."""
        layers = [*self.blocks, Tap(self.blocks[1], side="attention_scores")]
        return self._labelled("answers", self.teacher, layers)

    @functools.cached_property
    def answers(self):
        """The teacher's logits for the training sentences."""
        return _logits(self.taught)

    @functools.cached_property
    def answers_of_tenth(self):
        """The logits of the teacher that knows a tenth of the labels, for all of them."""
        return _logits(self._labelled("answers of a tenth", self.teacher_of_tenth, ()))

    def _labelled(self, name, teacher, layers):
        cache = keras_kd.TeacherCache(self.bench.file(name, ""), teacher, layers=layers)
        return cache.label((self.ids["pieces"]["train"], self.labels["train"]))

    def student(self, name):
        """Returns a new student."""
        make, kind = STUDENTS[name]
        return make(self.settings.length, self.sizes[kind], self.classes, name="student")

    def trained(self, name, *, answers=None, rows=None, labels=None, **distiller):
        """Returns a student after its training, at the epoch that validated best.

        Args:
            name: Which student.
            answers: The teacher's logits for all training sentences; None trains on labels alone.
            rows: The training sentences to take, None for all of them. Fewer come round as often
                in an epoch as makes up for it.
            labels: In place of the training labels; those that are `UNKNOWN` do not count.
            **distiller: For `keras_kd.Distiller`. With `feature_losses` the answers are `taught`.
        """
        settings, kind = self.settings, STUDENTS[name][1]
        student = model = self.student(name)
        x = self.ids[kind]["train"]
        y = self.labels["train"] if labels is None else labels
        if answers is not None:
            x = {"inputs": x, "teacher_outputs": answers}
            model = keras_kd.Distiller(student, **distiller)
        data = {"x": x, "y": y, "batch_size": settings.batch_size}
        if rows is not None:
            rows = np.tile(rows, math.ceil(len(y) / len(rows)))
            data["x"], data["y"] = keras.tree.map_structure(lambda values: values[rows], (x, y))
        elif distiller.get("feature_losses"):
            batches = self.taught.shuffle(1024).batch(settings.batch_size)
            data = {"x": batches.prefetch(2), "shuffle": False}
        steps = settings.epochs * math.ceil(len(y) / settings.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
        model.compile(
            keras.optimizers.Adam(rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=UNKNOWN),
            metrics=["accuracy"],
            jit_compile=False,
        )
        best = keras.callbacks.EarlyStopping(
            "val_accuracy", patience=settings.epochs, restore_best_weights=True
        )
        model.fit(
            **data,
            epochs=settings.epochs,
            validation_data=(self.ids[kind]["validation"], self.labels["validation"]),
            callbacks=[best],
            verbose=0,
        )
        return student

    def figures(self, seed, name, **training):
        """Returns the figures of a student; the seed is set already."""
        del seed
        return self.measured(self.trained(name, **training), STUDENTS[name][1])

    def measured(self, model, kind):
        """Returns accuracy on validation and test data and macro F1 on test data, in %."""
        guesses = {
            split: model.predict(self.ids[kind][split], batch_size=256, verbose=0).argmax(-1)
            for split in ("validation", "test")
        }
        hits = {split: found == self.labels[split] for split, found in guesses.items()}
        f1 = f1_score(self.labels["test"], guesses["test"], average="macro")
        return {
            "validation": 100.0 * hits["validation"].mean(),
            "accuracy": 100.0 * hits["test"].mean(),
            "f1": 100.0 * f1,
            "parameters": model.count_params(),
        }


def _logits(dataset):
    batches = dataset.map(lambda x, _: x["teacher_outputs"]).batch(256)
    return np.concatenate(list(batches.as_numpy_iterator()))

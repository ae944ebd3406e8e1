"""The teacher and the students of the benchmark on entities."""

import dataclasses
import functools
import math

import keras
import numpy as np
from seqeval.metrics import f1_score, precision_score, recall_score
from task_bench import TaskBench
from text_teacher import pretrained, tiny

import keras_kd
from keras_kd.data import WordNumbers, pad_tags, token_classification, word_pieces
from keras_kd.models import bert_tagger, bilstm_tagger, cnn_tagger

SCRIPT = "benchmarks/task_entities.py"
STUDENTS = {"CNN": cnn_tagger, "BiLSTM": bilstm_tagger}
NO_TAG = -1  # behind the end of a sentence
_AT_ONCE = 64  # sentences that are measured together
_POSITIONS = 512  # pieces that the teacher could read


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    data: str = "wnut17"
    words: int = 40
    pieces: int = 48
    examples: int | None = None
    seeds: tuple = (0, 1, 2)
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 3e-3
    teacher_epochs: int = 3
    teacher_rate: float = 1e-4
    alphas: tuple = (0.1, 0.5)
    temperatures: tuple = (1.0, 4.0)


class EntitiesBench:
    """Trains the teacher, and each student for a row and a seed, once.

    Args:
        settings: The `Settings`.
        options: What `task_options` returned.
    """

    def __init__(self, settings, options):
        self.settings, self.bench = settings, TaskBench(SCRIPT, settings, options)
        self.data = data = token_classification(settings.data, options.data_dir)
        splits = {name: getattr(data, name) for name in ("train", "validation", "test")}
        self.sentences = {name: split[: settings.examples] for name, split in splits.items()}
        texts = [" ".join(words) for words, _ in self.sentences["train"]]
        make = functools.partial(tiny, texts=texts) if options.small else pretrained
        preprocessor, self._backbone = make(_POSITIONS)
        self.tokenizer = preprocessor.tokenizer
        whole = [words for words, _ in self.sentences["train"]]
        self.pieces = word_pieces(whole, self.tokenizer, settings.pieces, settings.words)
        # Teacher and students train on the words whose pieces the teacher has room for.
        kept = [int(count) for count in (self.pieces["first_pieces"] > 0).sum(axis=1)]
        cut = [words[:count] for words, count in zip(whole, kept, strict=True)]
        self.cut = sum(count < len(words) for count, words in zip(kept, whole, strict=True))
        self.numbers = WordNumbers(whole)
        self.x = self.numbers(cut, settings.words)
        tags = [tags[:n] for (_, tags), n in zip(self.sentences["train"], kept, strict=True)]
        self.y = pad_tags(tags, settings.words, data.num_tags, ignore_label=NO_TAG)

    @functools.cached_property
    def teacher(self):
        """The fine-tuned teacher."""
        return self.bench.teacher(self._fine_tuned)

    def _fine_tuned(self):
        settings = self.settings
        model = bert_tagger(self._backbone(), self.data.num_tags, name="teacher")
        steps = settings.teacher_epochs * math.ceil(len(self.y) / settings.batch_size)
        warm_up = max(1, steps // 10)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, steps - warm_up, warmup_target=settings.teacher_rate, warmup_steps=warm_up
        )
        model.compile(
            keras.optimizers.AdamW(rate, weight_decay=0.01), cross_entropy(), jit_compile=False
        )
        model.fit(
            self.pieces,
            self.y,
            batch_size=settings.batch_size,
            epochs=settings.teacher_epochs,
            verbose=0,
        )
        return model

    @functools.cached_property
    def answers(self):
        """The teacher's logits for the words of the training sentences."""
        cache = keras_kd.TeacherCache(self.bench.file("answers", ""), self.teacher)
        labelled = cache.label(self.pieces).map(lambda x: x["teacher_outputs"]).batch(256)
        return np.concatenate(list(labelled.as_numpy_iterator()))

    def student(self, name):
        """Returns a new student."""
        return STUDENTS[name](self.numbers.sizes, self.data.num_tags, name="student")

    def figures(self, seed, name, **distiller):
        """Returns the figures of a student that was trained; the seed is set already.

        Args:
            seed: As the table wants it.
            name: Which student.
            **distiller: For `keras_kd.Distiller`; without any, the student learns from labels
                alone.
        """
        del seed
        settings, x = self.settings, self.x
        student = model = self.student(name)
        if distiller:
            x = {"inputs": x, "teacher_outputs": self.answers}
            model = keras_kd.Distiller(student, **distiller)
        steps = settings.epochs * math.ceil(len(self.y) / settings.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
        model.compile(keras.optimizers.Adam(rate), cross_entropy(), jit_compile=False)
        model.fit(x, self.y, batch_size=settings.batch_size, epochs=settings.epochs, verbose=0)
        return self.measured(student, self.numbers)

    def teacher_figures(self):
        """Returns the teacher's figures, measured once."""
        read = functools.partial(word_pieces, tokenizer=self.tokenizer)
        return self.bench.figures("teacher", 0, lambda _: self.measured(self.teacher, read))

    def measured(self, model, read):
        """Returns span F1 on validation data, and F1, precision and recall on test data, in %.

        Args:
            model: Gives logits `(batch, words, tags)`.
            read: Makes its inputs of sentences, as long as the longest of them.
        """
        found = {}
        for split, sentences in self.sentences.items():
            if split == "train":
                continue
            truth = [[self.data.tag_names[tag] for tag in tags] for _, tags in sentences]
            guessed = self._tagged(model, read, [words for words, _ in sentences])
            found[split] = 100.0 * f1_score(truth, guessed, zero_division=0)
        return {
            **found,
            "precision": 100.0 * precision_score(truth, guessed, zero_division=0),
            "recall": 100.0 * recall_score(truth, guessed, zero_division=0),
        }

    def _tagged(self, model, read, sentences):
        """Returns tags for all words; sentences of like length are padded together."""
        order = sorted(range(len(sentences)), key=lambda number: len(sentences[number]))
        tagged = [None] * len(sentences)
        for start in range(0, len(order), _AT_ONCE):
            numbers = order[start : start + _AT_ONCE]
            batch = [sentences[number] for number in numbers]
            guesses = model.predict_on_batch(read(batch)).argmax(-1)
            for number, words, row in zip(numbers, batch, guesses, strict=True):
                tagged[number] = [self.data.tag_names[tag] for tag in row[: len(words)]]
        return tagged


def cross_entropy():
    """The loss against the tags, for which padding has none."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=NO_TAG)

"""Whether compiling the training step with XLA pays on this machine."""

import time

import keras
import numpy as np
import tensorflow as tf
from speed_pairs import PAIRS

import keras_kd
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.models import vision_transformer

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _transformer(width, depth, heads, name):
    return vision_transformer(
        (28, 28, 1), 10, width=width, depth=depth, heads=heads, dropout=0.1, name=name
    )


# Student, teacher, and the steps that a clock is worth.
KINDS = {
    "convolutional: WRN-16-2 to ResNet-8": (PAIRS["wrn"].student, PAIRS["wrn"].teacher, 8),
    "dense: MLP 1200-1200 to 100-100": (PAIRS["mlp"].student, PAIRS["mlp"].teacher, 200),
    "transformer: 4 blocks to 2": (
        lambda: _transformer(32, 2, 2, "student"),
        lambda: _transformer(64, 4, 4, "teacher"),
        40,
    ),
    "recurrent: transformer to BiLSTM": (PAIRS["text"].student, PAIRS["text"].teacher, 20),
}


def xla_lines(repeats, small, batch_size=64):
    """Times a step with XLA over one without, in turns, and returns lines of Markdown."""
    rows = [["student", "`student.fit`", "`Distiller`, live", "`Distiller`, cached", "first step"]]
    for kind, (student, teacher, steps) in KINDS.items():
        cells, first = [], ""
        for distils in (None, "live", "cached"):
            bench = _Step(student, teacher(), distils, batch_size)
            ratio, seconds = bench.ratio(1 if small else steps, repeats)
            cells.append(ratio)
            first = seconds if distils == "live" else first
        rows.append([kind, *cells, first])
    return [
        "## XLA",
        "",
        "Time of a step with `jit_compile=True` over that with `jit_compile=False`: median of "
        f"{repeats} turns, and from the smallest to the largest. First step: the seconds that "
        "tracing and compiling a live step take, with and without.",
        "",
        *markdown_table(rows).splitlines(),
        "",
    ]


class _Step:
    """A training step with XLA and without."""

    def __init__(self, make_student, teacher, distils, batch_size):
        self.make_student, self.teacher, self.distils = make_student, teacher, distils
        rng = np.random.default_rng(0)
        values = rng.integers(0, 255, (batch_size, *teacher.input_shape[1:]))
        x = values.astype(teacher.inputs[0].dtype)
        self.batch = x, np.zeros(batch_size, "int32")
        if distils == "cached":
            outputs = np.zeros((batch_size, teacher.output_shape[-1]), "float32")
            self.batch = {"inputs": x, "teacher_outputs": outputs}, self.batch[1]

    def ratio(self, steps, repeats):
        """Returns the ratio of times, and the first steps' seconds, as they are shown."""
        data = tf.data.Dataset.from_tensors(self.batch).repeat(steps)
        models = {xla: self._model(xla) for xla in (True, False)}
        first = {
            xla: _seconds(lambda m=model: m.train_on_batch(*self.batch))
            for xla, model in models.items()
        }
        for model in models.values():
            model.fit(data, verbose=0)
        ratios = []
        for repeat in range(repeats):
            turns = (True, False) if repeat % 2 else (False, True)
            clock = {xla: _seconds(lambda m=models[xla]: m.fit(data, verbose=0)) for xla in turns}
            ratios.append(clock[True] / clock[False])
        shown = f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        return shown, f"{first[True]:.1f} s, {first[False]:.1f} s"

    def _model(self, xla):
        model = self.make_student()
        if self.distils:
            model = keras_kd.Distiller(model, self.teacher if self.distils == "live" else None)
        model.compile("adam", CROSS_ENTROPY, jit_compile=xla)
        return model


def _seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start

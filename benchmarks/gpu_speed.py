"""Steps on the device: alone, beside a live teacher, with a feature layer, with its answers."""

import statistics
import time

import jax
import keras
import numpy as np
from gpu_images import random_images
from gpu_step import state_of

import keras_kd
from keras_kd import losses
from keras_kd.models import resnet, wide_resnet

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
IMAGE = (32, 32, 3)
# What each pair's student and teacher are, and the layers at which a feature loss meets them.
PAIRS = {
    "ResNet-56 to ResNet-20": (
        lambda: resnet(IMAGE, 100, depth=20, name="student"),
        lambda: resnet(IMAGE, 100, depth=56, name="teacher"),
        {"stage3": "stage3"},
    ),
    "WRN-40-2 to WRN-16-2": (
        lambda: wide_resnet(IMAGE, 100, depth=16, widen=2, name="student"),
        lambda: wide_resnet(IMAGE, 100, depth=40, widen=2, name="teacher"),
        {"stage3": "stage3"},
    ),
}
SMALL_PAIRS = {
    "ResNet-8 to ResNet-8": (
        lambda: resnet(IMAGE, 100, depth=8, width=2, name="student"),
        lambda: resnet(IMAGE, 100, depth=8, width=2, name="teacher"),
        {"stage3": "stage3"},
    ),
}
LANGUAGE_PAIR = "Transformer of 8 blocks to one of 4, vocabulary of 32,000"
ALONE, FORWARD, CARRIED = "student alone", "teacher alone, forward", "answers carried in the data"
ROWS = (
    ALONE,
    FORWARD,
    "live, float32",
    "live, bfloat16",
    "live, one feature layer",
    CARRIED,
)


def language_model(size, length, vocabulary, name):
    """A decoder of pre-norm blocks from token numbers `(B, L)` to logits `(B, L, V)`."""
    width, depth, heads = size
    inputs = keras.Input((length,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(vocabulary, width, name="embedding")(inputs)
    for _ in range(depth):
        y = keras.layers.LayerNormalization()(x)
        y = keras.layers.MultiHeadAttention(heads, width // heads)(y, y, use_causal_mask=True)
        x = keras.layers.Add()([x, y])
        y = keras.layers.Dense(4 * width, "gelu")(keras.layers.LayerNormalization()(x))
        x = keras.layers.Add()([x, keras.layers.Dense(width)(y)])
    x = keras.layers.LayerNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(vocabulary, name="logits")(x), name=name)


class Bench:
    """The steps of one pair at one batch size."""

    def __init__(self, pair, batch, small=False):
        self.small = small
        if pair == LANGUAGE_PAIR:
            length, vocabulary = (8, 50) if small else (512, 32_000)
            sizes = ((8, 1, 2), (8, 2, 2)) if small else ((256, 4, 4), (512, 8, 8))
            rng = np.random.default_rng(0)
            self.x, self.y = rng.integers(0, vocabulary, (2, batch, length)).astype("int32")
            self.make_student, self.make_teacher = (
                lambda size=size, name=name: language_model(size, length, vocabulary, name)
                for size, name in zip(sizes, ("student", "teacher"), strict=True)
            )
            self.layers, self.answers = None, (batch, length, vocabulary)
        else:
            pairs = SMALL_PAIRS if small else PAIRS
            self.make_student, self.make_teacher, self.layers = pairs[pair]
            images, self.y = random_images(batch)
            self.x, self.answers = images.astype("float32"), (batch, 100)
        self.batch, self.compiled = batch, {}

    def compile(self):
        """Compiles every row's step; this takes the time of all that follows."""
        for row in ROWS:
            if "feature" in row and self.layers is None:
                continue
            self.compiled[row] = self._compile(row)

    @property
    def shape(self):
        """What is kept of the outputs where they are large: `{"logits": shape}`, or nothing."""
        return {"logits": self.answers} if self.layers is None else {}

    def measure(self):
        """Returns what each row's step takes, as `{row: {"examples_a_second": ..., ...}}`."""
        found = {}
        for row, (run, compiled, arguments) in self.compiled.items():
            rates = self._rates(run, compiled, arguments)
            found[row] = {
                "examples_a_second": statistics.median(rates),
                "slowest": min(rates),
                "fastest": max(rates),
                **_memory(compiled),
            }
        return found

    def _compile(self, row):
        if row == FORWARD:
            teacher = self.make_teacher()
            state = [
                [each.value for each in part]
                for part in (teacher.trainable_variables, teacher.non_trainable_variables)
            ]
            x = jax.device_put(self.x)

            def forward(state, x):
                return teacher.stateless_call(*state, x, training=False)[0]

            compiled = jax.jit(forward).lower(state, x).compile()
            return _call, compiled, (state, x)
        model = self._model(row)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), CROSS_ENTROPY)
        x = self.x
        if row == CARRIED:
            x = {"inputs": x, "teacher_outputs": np.zeros(self.answers, "float32")}
        data = jax.device_put((x, self.y))
        state = state_of(model)
        step = jax.jit(model.train_step, donate_argnums=0)
        return _step, step.lower(state, data).compile(), (state, data)

    def _model(self, row):
        student = self.make_student()
        if row == ALONE:
            return student
        if row == CARRIED:
            kd_loss = losses.KDLoss(teacher_from_logits=True)
            return keras_kd.Distiller(student, kd_loss=kd_loss)
        features = [losses.ATLoss(layers=self.layers)] if "feature" in row else []
        dtype = "bfloat16" if "bfloat16" in row else None
        return keras_kd.Distiller(
            student, self.make_teacher(), feature_losses=features, teacher_dtype=dtype
        )

    def _rates(self, run, compiled, arguments, seconds=0.3, repeats=5):
        arguments = run(compiled, arguments, 3)  # what is loaded at the first call
        steps = 2
        if not self.small:
            start = time.perf_counter()
            arguments = run(compiled, arguments, 10)
            steps = max(10, int(10 * seconds / (time.perf_counter() - start)))
        rates = []
        for _ in range(repeats):
            start = time.perf_counter()
            arguments = run(compiled, arguments, steps)
            rates.append(self.batch * steps / (time.perf_counter() - start))
        return rates


def _call(compiled, arguments, times):
    """Runs the forward pass; what the device has begun is waited for at the end."""
    for _ in range(times):
        out = compiled(*arguments)
    jax.block_until_ready(out)
    return arguments


def _step(compiled, arguments, times):
    state, data = arguments
    for _ in range(times):
        logs, state = compiled(state, data)
    jax.block_until_ready((logs, state))
    return state, data


def _memory(compiled):
    """Returns the bytes on the device while the step runs, and the kernels it starts."""
    sizes = compiled.memory_analysis()
    held = sizes.argument_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    return {
        "bytes_held": held,
        "bytes_passing": sizes.temp_size_in_bytes,
        "kernels": _kernels(compiled.as_text()),
    }


def _kernels(text):
    """Counts what a compiled program starts on the device, from its text."""
    entry = text[text.index("\nENTRY ") :].splitlines()
    starts = (" fusion(", " custom-call(", " convolution(", " dot(", " reduce(", " copy(")
    return sum(any(start in line for start in starts) for line in entry)

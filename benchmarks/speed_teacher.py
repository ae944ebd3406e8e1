"""What rewriting a convolutional teacher for inference gains."""

import time

import keras
import numpy as np
import tensorflow as tf
from speed_pairs import PAIRS
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_kd.evaluation.run_report import markdown_table
from keras_kd.teachers import fold_batch_normalization
from keras_kd.teachers.in_dtype import in_dtype

WAYS = ("as it is", "BatchNormalization folded", "frozen function", "XLA", "bfloat16 copy")


def teacher_lines(repeats, small, batch_size=64):
    """Times the ways in turns and returns lines of Markdown."""
    rows = [["teacher", *WAYS]]
    for name in ("wrn", "resnet56"):
        pair = PAIRS[name]
        rates, furthest = _rates(pair.teacher(), repeats, 1 if small else 6, batch_size)
        base = np.asarray(rates[WAYS[0]])
        cells = [
            f"{np.median(np.asarray(rates[way]) / base):.2f} (off by {furthest[way]:.0e})"
            for way in WAYS[1:]
        ]
        rows.append([pair.name.split(" to ")[0], f"{np.median(base):,.0f} examples/s", *cells])
    return [
        "## The teacher alone",
        "",
        f"Inference in batches of {batch_size} as the training step runs it, and its rate when "
        "rewritten over that as it is: median of the repeats, taken in turns. Off by: the largest "
        "difference of its logits from those as it is, relative to the largest logit.",
        "",
        *markdown_table(rows).splitlines(),
        "",
    ]


def _rates(teacher, repeats, steps, batch_size):
    _random_statistics(teacher)
    x = tf.random.stateless_uniform((batch_size, 32, 32, 3), seed=(0, 1), maxval=255.0)
    half = in_dtype(teacher, "bfloat16")
    plain = tf.function(lambda x: teacher(x, training=False))
    folded = fold_batch_normalization(teacher)
    ways = {
        WAYS[0]: plain,
        WAYS[1]: tf.function(lambda x: folded(x, training=False)),
        WAYS[2]: convert_variables_to_constants_v2(plain.get_concrete_function(x)),
        WAYS[3]: tf.function(lambda x: teacher(x, training=False), jit_compile=True),
        WAYS[4]: tf.function(lambda x: half(x, training=False)),
    }
    outputs = {
        way: tf.nest.flatten(run(x))[0].numpy().astype("float32") for way, run in ways.items()
    }
    largest = np.abs(outputs[WAYS[0]]).max()
    furthest = {
        way: np.abs(found - outputs[WAYS[0]]).max() / largest for way, found in outputs.items()
    }
    rates = {way: [] for way in ways}
    for repeat in range(repeats):
        for way in list(ways)[:: 1 if repeat % 2 else -1]:
            start = time.perf_counter()
            for _ in range(steps):
                ways[way](x)
            rates[way].append(batch_size * steps / (time.perf_counter() - start))
    return rates, furthest


def _random_statistics(model):
    """Gives every BatchNormalization statistics as training would, not zeros and ones."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape[0]
            layer.set_weights([rng.uniform(0.5, 1.5, size) for _ in range(4)])

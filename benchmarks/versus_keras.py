"""keras_kd beside Keras' own `keras.distillation`, on the same models and data.

    python benchmarks/versus_keras.py            # about a minute on 2 cores
    python benchmarks/versus_keras.py --small    # fewer epochs and one seed

Prints the table of docs/start/from_keras_distillation.md. Data: scikit-learn's digits, which need
no download.
"""

import argparse
import platform

import keras
import numpy as np

import keras_kd
from keras_kd.data import digits
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.models import cnn

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
TEMPERATURE, ALPHA = 4.0, 0.1


def theirs(student, teacher, losses=None):
    losses = losses or keras.distillation.LogitsDistillation(temperature=TEMPERATURE)
    return keras.distillation.Distiller(
        teacher=teacher, student=student, distillation_losses=losses, student_loss_weight=ALPHA
    )


def ours(student, teacher, feature_losses=()):
    return keras_kd.Distiller(
        student, teacher, alpha=ALPHA, temperature=TEMPERATURE, feature_losses=feature_losses
    )


def logits_loss(make, teacher_logits, student_logits):
    """The loss between fixed logits, as each library computes it."""
    if make is ours:
        loss = keras_kd.losses.KDLoss(temperature=TEMPERATURE)
        return float(loss(teacher_logits, student_logits))
    loss = keras.distillation.LogitsDistillation(temperature=TEMPERATURE)
    return float(loss.compute_loss(teacher_logits, student_logits))


def true_loss(teacher_logits, student_logits):
    """T^2 KL in float64, from the formula."""
    t, s = (np.asarray(z, "float64") / TEMPERATURE for z in (teacher_logits, student_logits))
    t, s = (z - np.log(np.exp(z).sum(-1, keepdims=True)) for z in (t, s))
    return float(TEMPERATURE**2 * (np.exp(t) * (t - s)).sum(-1).mean())


def accuracy_after_training(make, data, teacher, epochs, seeds):
    x, y = data.arrays("train")
    scores = []
    for seed in seeds:
        keras.utils.set_random_seed(seed + 1)
        student = cnn(data.image_shape, 10, width=8, stages=2, name="student")
        distiller = make(student, teacher)
        distiller.compile(keras.optimizers.Adam(3e-3), LOSS)
        distiller.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
        scores.append(100 * accuracy(student, data))
    return mean_and_sd(scores)


def three_evaluations(make, data, teacher):
    student = cnn(data.image_shape, 10, width=8, stages=2, name="student")
    if make is ours:
        loss = keras_kd.losses.ATLoss(layers={"stage1": "stage1"}, weight=1.0)
        distiller = make(student, teacher, [loss])
    else:
        loss = keras.distillation.FeatureDistillation(
            loss="mse", teacher_layer_name="logits", student_layer_name="logits"
        )
        distiller = make(student, teacher, loss)
    distiller.compile("adam", LOSS)
    x, y = data.arrays("test")
    losses = [distiller.evaluate(x, y, verbose=0, return_dict=True)["loss"] for _ in range(3)]
    return " ".join(f"{value:.3f}" for value in losses)


def moved_by_weight_zero(make, data, teacher):
    student = cnn(data.image_shape, 10, width=8, stages=2, name="student")
    distiller = make(student, teacher)
    distiller.compile(keras.optimizers.SGD(0.01), LOSS)
    x, y = data.arrays("train")
    before = [keras.ops.convert_to_numpy(v) for v in student.trainable_variables]
    distiller.fit(x[:64], y[:64], sample_weight=np.zeros(64), batch_size=64, verbose=0)
    after = [keras.ops.convert_to_numpy(v) for v in student.trainable_variables]
    moved = max(np.abs(a - b).max() for a, b in zip(after, before, strict=True))
    return "nothing" if moved == 0 else f"weights, by up to {moved:.2g}"


def teacher_afterwards(make, data):
    teacher = cnn(data.image_shape, 10, width=8, stages=2, name="teacher")
    make(cnn(data.image_shape, 10, width=4, stages=2, name="student"), teacher)
    return "trainable, as it was" if teacher.trainable else "left frozen"


def accuracy(model, data):
    x, y = data.arrays("test")
    return np.mean(model.predict(x, verbose=0).argmax(-1) == y)


def mean_and_sd(scores):
    sd = f" ± {np.std(scores, ddof=1):.1f}" if len(scores) > 1 else ""
    return f"{np.mean(scores):.1f}{sd}"


def table(small):
    rng = np.random.default_rng(0)
    teacher_logits = rng.normal(0, 5, (64, 10)).astype("float32")
    student_logits = rng.normal(0, 5, (64, 10)).astype("float32")
    data = digits()
    epochs, seeds = (2, range(1)) if small else (20, range(3))
    keras.utils.set_random_seed(0)
    teacher = cnn(data.image_shape, 10, width=32, depth=2, stages=2, name="teacher")
    teacher.compile(keras.optimizers.Adam(3e-3), LOSS)
    teacher.fit(*data.arrays("train"), batch_size=64, epochs=epochs, verbose=0)
    asked = {
        f"default loss between fixed logits, T {TEMPERATURE:g} (right: "
        f"{true_loss(teacher_logits, student_logits):.4f})": lambda make: (
            f"{logits_loss(make, teacher_logits, student_logits):.4f}"
        ),
        "the same with the teacher's logits shifted by 10": lambda make: (
            f"{logits_loss(make, teacher_logits + 10, student_logits):.4f}"
        ),
        "absolute loss of a student that is its teacher shifted by 10 (right: 0)": lambda make: (
            f"{abs(logits_loss(make, teacher_logits, teacher_logits + 10)):.4f}"
        ),
        f"student's test accuracy in %, digits, {epochs} epochs, {len(seeds)} seeds (teacher "
        f"{100 * accuracy(teacher, data):.1f})": lambda make: accuracy_after_training(
            make, data, teacher, epochs, seeds
        ),
        "loss of three evaluations, with a feature loss": lambda make: three_evaluations(
            make, data, teacher
        ),
        "a step with `sample_weight=0` moves": lambda make: moved_by_weight_zero(
            make, data, teacher
        ),
        "the caller's teacher afterwards": lambda make: teacher_afterwards(make, data),
    }
    rows = [["", "keras.distillation", "keras_kd"]]
    for question, answer in asked.items():
        keras.utils.set_random_seed(1)
        first = answer(theirs)
        teacher.trainable = True  # Keras' Distiller leaves it frozen
        keras.utils.set_random_seed(1)
        rows.append([question, first, answer(ours)])
    return markdown_table(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer epochs and one seed")
    print(table(parser.parse_args().small))
    print(
        f"\nKeras {keras.__version__}, {keras.backend.backend()}, Python "
        f"{platform.python_version()}, CPU; seeds 1 to 3, mean ± standard deviation."
    )


if __name__ == "__main__":
    main()

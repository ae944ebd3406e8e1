"""A teacher on a device of its own, beside one that shares the student's: JAX, two CPU devices.

    python benchmarks/scale_teacher_device.py          # a section of scale.md
    python benchmarks/scale_teacher_device.py --small  # seconds

Three ways to spend two devices on a step of teacher T and student S. Shared: one device does T + S,
the other nothing. Ahead: one answers the next batch while the other trains on this one, max(T, S).
Split: each does both for half of the batch, (T + S) / 2. Threads are one a device, so that a device
is a core.
"""

import argparse
import dataclasses
import os
import statistics
import time

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
os.environ["XLA_FLAGS"] += " --xla_cpu_multi_thread_eigen=false"
os.environ["KERAS_BACKEND"] = "jax"

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from setup_lines import setup_lines

from keras_kd.evaluation.run_report import markdown_table
from keras_kd.losses import KDLoss
from keras_kd.models import mlp

SHAPE, CLASSES, TEMPERATURE = (28, 28, 1), 10, 4.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything; a teacher's width for each of the pairs."""

    batch: int = 1024
    student: int = 768
    teachers: tuple = (256, 768, 2048)
    steps: int = 30
    repeats: int = 5


SMALL = Settings(batch=32, student=16, teachers=(16,), steps=2, repeats=2)


class Pair:
    """A teacher and a student as functions of their weights, and the ways to run them.

    Args:
        settings: The `Settings`.
        width: Of the teacher's hidden layers.
    """

    def __init__(self, settings, width):
        self.settings = settings
        self._teacher = mlp(SHAPE, CLASSES, hidden=(width,) * 3)
        self._student = mlp(SHAPE, CLASSES, hidden=(settings.student,) * 3)
        self._distance = KDLoss()
        rng = np.random.default_rng(0)
        self.batches = [
            rng.normal(size=(settings.batch, *SHAPE)).astype("float32") for _ in range(4)
        ]
        self.devices = jax.devices()[:2]

    def answer(self, weights, x):
        """What the teacher says."""
        return self._teacher.stateless_call(weights, [], x)[0]

    def step(self, weights, x, answers):
        """A step of gradient descent on the distance to the answers."""

        def distance(weights):
            y = self._student.stateless_call(weights, [], x)[0]
            return self._distance(answers, y, TEMPERATURE)

        gradients = jax.grad(distance)(weights)
        return [weight - 1e-3 * slope for weight, slope in zip(weights, gradients, strict=True)]

    def both(self, taught, teaching, x):
        """A step with the teacher in it."""
        return self.step(taught, x, self.answer(teaching, x))

    def weights(self, place):
        """The weights of student and teacher there."""
        models = (self._student, self._teacher)
        return [
            [jax.device_put(v.value, place) for v in model.trainable_variables] for model in models
        ]

    def alone(self, kind):
        """Returns what runs T or S on one device, for a number of steps."""
        place = self.devices[0]
        taught, teaching = self.weights(place)
        x = jax.device_put(self.batches[0], place)
        answers = jax.jit(self.answer)(teaching, x)
        step, answer = jax.jit(self.step), jax.jit(self.answer)

        def run(steps):
            found = None
            for _ in range(steps):
                found = answer(teaching, x) if kind == "T" else step(taught, x, answers)
                jax.block_until_ready(found)

        return run

    def shared(self):
        """Returns what runs both on one device."""
        return self._in_one(self.devices[0], self.devices[0])

    def split(self):
        """Returns what runs both on each device, for its half of the batch."""
        mesh = Mesh(np.array(self.devices), ("batch",))
        places = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))
        return self._in_one(*places)

    def ahead(self):
        """Returns what lets the teacher answer the next batch meanwhile, on the other device."""
        here, there = self.devices
        (weights, _), (_, teaching) = self.weights(here), self.weights(there)
        step, answer = jax.jit(self.step), jax.jit(self.answer)

        def run(steps):
            taught = weights
            answers = answer(teaching, jax.device_put(self.batches[0], there))
            for number in range(steps):
                x = jax.device_put(self.batches[number % 4], here)
                now = jax.device_put(answers, here)
                following = jax.device_put(self.batches[(number + 1) % 4], there)
                answers = answer(teaching, following)
                taught = step(taught, x, now)
            jax.block_until_ready((taught, answers))

        return run

    def _in_one(self, place, data):
        weights, teaching = self.weights(place)
        both = jax.jit(self.both)

        def run(steps):
            taught = weights
            for number in range(steps):
                taught = both(taught, teaching, jax.device_put(self.batches[number % 4], data))
            jax.block_until_ready(taught)

        return run


def milliseconds(settings, runs):
    """Returns the milliseconds a step of each run, in turns: a list of `repeats`."""
    found = {name: [] for name in runs}
    for run in runs.values():
        run(2)
    for _ in range(settings.repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run(settings.steps)
            found[name].append(1e3 * (time.perf_counter() - start) / settings.steps)
    return found


def main(arguments=None):
    """Runs all and prints the section."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--small", action="store_true", help="small nets, two steps")
    settings = SMALL if parser.parse_args(arguments).small else Settings()
    lines = [["teacher's width", "T", "S", "shared", "ahead", "split"]]
    for width in settings.teachers:
        pair = Pair(settings, width)
        runs = {"T": pair.alone("T"), "S": pair.alone("S")}
        runs |= {"shared": pair.shared(), "ahead": pair.ahead(), "split": pair.split()}
        found = milliseconds(settings, runs)
        cells = [
            f"{statistics.median(each):.1f} ({min(each):.1f} to {max(each):.1f})"
            for each in found.values()
        ]
        lines.append([str(width), *cells])
    print(
        "## A teacher on a device of its own\n\nPerceptrons of three hidden layers, the student's "
        f"of {settings.student} units, batches of {settings.batch:,}, two CPU devices of one "
        f"thread each. Milliseconds a step: median of {settings.repeats} runs of {settings.steps} "
        f"steps (smallest to largest).\n\n{markdown_table(lines)}\n"
    )
    print(*setup_lines("benchmarks/scale_teacher_device.py"), "", sep="\n", flush=True)


if __name__ == "__main__":
    main()

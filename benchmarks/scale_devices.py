"""Steps a second on several devices that share the cores of one, and a teacher in two parts.

    python benchmarks/scale_devices.py          # eight minutes on 2 cores
    python benchmarks/scale_devices.py --small  # two minutes

Devices of a CPU share its cores, so that more of them cannot be faster: what a step loses is what
spreading it costs. Each way is a process of its own, or two, which time epochs of `Distiller.fit`.
"""

import argparse
import contextlib
import dataclasses
import importlib.metadata
import json
import os
import socket
import subprocess
import sys

import keras
import numpy as np
from epoch_clock import EpochClock
from setup_lines import setup_lines
from undisturbed import Undisturbed

import keras_kd
from keras_kd.evaluation.run_report import markdown_table
from keras_kd.models import cnn, mlp

SCRIPT = "benchmarks/scale_devices.py"
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
MIB = 2.0**20


@dataclasses.dataclass(frozen=True)
class Way:
    """How a step is spread.

    Attributes:
        name: For the row.
        backend: `jax` or `tensorflow`.
        kind: What spreads it, or `plain`.
        devices: How many a process has.
        processes: How many there are.
    """

    name: str
    backend: str
    kind: str = "plain"
    devices: int = 1
    processes: int = 1


WAYS = (
    Way("JAX, one device", "jax"),
    Way("JAX, DataParallel, 2 devices", "jax", "spread", 2),
    Way("JAX, DataParallel, 4 devices", "jax", "spread", 4),
    Way("JAX, DataParallel, 2 processes", "jax", "spread", 1, 2),
    Way("TensorFlow, one device", "tensorflow"),
    Way("TensorFlow, MirroredStrategy, 1 replica", "tensorflow", "spread", 1),
    Way("TensorFlow, MirroredStrategy, 2 replicas", "tensorflow", "spread", 2),
    Way("TensorFlow, MirroredStrategy, 4 replicas", "tensorflow", "spread", 4),
    Way("TensorFlow, MultiWorkerMirroredStrategy, 2 processes", "tensorflow", "spread", 1, 2),
)
SMALL_WAYS = (WAYS[0], WAYS[1], WAYS[4], WAYS[8])


@dataclasses.dataclass(frozen=True)
class Case:
    """A pair whose steps are timed; weights do not matter.

    Attributes:
        name: For the heading.
        shape: Of an example.
        teacher, student: Make the models.
        batch: Examples of a step, on all devices together.
        steps: Steps of an epoch.
    """

    name: str
    shape: tuple
    teacher: object
    student: object
    batch: int
    steps: int


CASES = (
    Case(
        "MLP 1200-1200 to 100-100",
        (28, 28, 1),
        lambda shape: mlp(shape, 10, hidden=(1200, 1200), name="teacher"),
        lambda shape: mlp(shape, 10, hidden=(100, 100), name="student"),
        256,
        60,
    ),
    Case(
        "CNN of 64 channels to one of 16",
        (32, 32, 3),
        lambda shape: cnn(shape, 10, width=64, name="teacher"),
        lambda shape: cnn(shape, 10, width=16, name="student"),
        128,
        6,
    ),
)
SMALL_CASES = (dataclasses.replace(CASES[0], batch=32, steps=2),)
PARTS = {
    "plain, one device": (1, "plain"),
    "DataParallel, two devices": (2, "data"),
    "ModelParallel, the teacher in two parts": (2, "model"),
}
WIDE = 4096  # units of the teacher's two hidden layers


def train(way, cases, epochs):
    """Prints in JSON the steps a second of each case in each epoch but the first."""
    scope = _scope(way)
    told = []
    for case in cases:
        rng = np.random.default_rng(0)
        x = rng.uniform(0.0, 255.0, (case.batch * case.steps, *case.shape)).astype("float32")
        y = rng.integers(0, 10, len(x))
        clock = EpochClock()
        with scope:
            keras.utils.set_random_seed(0)
            distiller = keras_kd.Distiller(case.student(case.shape), case.teacher(case.shape))
            distiller.compile("adam", LOSS)
        data = _batches(x, y, case.batch)
        distiller.fit(data, epochs=1 + epochs, callbacks=[clock], verbose=0)
        told.append((case.steps / np.diff(clock.ends)).tolist())
    print(json.dumps(told))


def _batches(x, y, size):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y)).batch(size, drop_remainder=True).prefetch(2)


def _scope(way):
    """Returns the scope of a way, once its devices are made."""
    if way.kind == "plain":
        return contextlib.nullcontext()
    if way.backend == "jax":
        if way.processes > 1:
            keras.distribution.initialize()  # by the environment
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        return contextlib.nullcontext()
    import tensorflow as tf

    if way.processes > 1:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        device = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * way.devices
        tf.config.set_logical_device_configuration(device, parts)
        strategy = tf.distribute.MirroredStrategy([f"CPU:{n}" for n in range(way.devices)])
    return _Reentered(strategy)


class _Reentered:
    """A strategy whose scope can be entered again."""

    def __init__(self, strategy):
        self.strategy, self.open = strategy, []

    def __enter__(self):
        self.open.append(self.strategy.scope())
        return self.open[-1].__enter__()

    def __exit__(self, *error):
        return self.open.pop().__exit__(*error)


def weigh(kind, units):
    """Prints in JSON what a device holds of the teacher and of all, and what its step takes."""
    import jax
    from gpu_step import state_of

    distribution = _distribution(kind)
    keras.distribution.set_distribution(distribution)
    inputs = keras.Input((784,))
    hidden = keras.layers.Dense(units, "relu", name="teacher_1")(inputs)
    hidden = keras.layers.Dense(units, "relu", name="teacher_2")(hidden)
    teacher = keras.Model(inputs, keras.layers.Dense(10, name="scores")(hidden))
    student = mlp((784,), 10, hidden=(256,), name="student")
    distiller = keras_kd.Distiller(student, teacher)
    distiller.compile("adam", LOSS)
    batch = np.zeros((64, 784), "float32"), np.zeros(64, "int32")
    distiller.fit(*batch, batch_size=64, verbose=0)
    state = state_of(distiller)
    settings = {}
    if distribution is not None:
        settings["out_shardings"] = None, jax.tree.map(lambda value: value.sharding, state)
        batch = tuple(
            keras.distribution.distribute_tensor(each, distribution.get_data_layout(each.shape))
            for each in batch
        )
    step = jax.jit(distiller.train_step, donate_argnums=0, **settings)
    needs = step.lower(state, batch).compile().memory_analysis()
    found = {
        "teacher": _held([v.value for v in teacher.variables]),
        "state": _held(jax.tree.leaves(state)),
        "temporary": needs.temp_size_in_bytes,
        "step": needs.argument_size_in_bytes
        + needs.output_size_in_bytes
        - needs.alias_size_in_bytes
        + needs.temp_size_in_bytes,
    }
    print(json.dumps(found))


def _distribution(kind):
    if kind == "plain":
        return None
    if kind == "data":
        return keras.distribution.DataParallel()
    mesh = keras.distribution.DeviceMesh((1, 2), ["batch", "model"])
    layout = keras.distribution.LayoutMap(mesh)
    layout["teacher_.*/kernel"] = (None, "model")
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def _held(arrays):
    """Returns the bytes of the device that holds most of these arrays."""
    import jax

    shards = [shard for array in arrays for shard in array.addressable_shards]
    return max(
        sum(shard.data.nbytes for shard in shards if shard.device == device)
        for device in jax.local_devices()
    )


def timed(way, epochs, small=False):
    """Returns the steps a second of each case and epoch, from the first of the processes."""
    ports = _free_ports(way.processes)
    runs = []
    for process in range(way.processes):
        environment = {"KERAS_BACKEND": way.backend}
        if way.backend == "jax":
            environment["XLA_FLAGS"] = _devices(way.devices)
        if way.processes > 1 and way.backend == "jax":
            environment["KERAS_DISTRIBUTION_JOB_ADDRESSES"] = f"localhost:{ports[0]}"
            environment["KERAS_DISTRIBUTION_NUM_PROCESSES"] = str(way.processes)
            environment["KERAS_DISTRIBUTION_PROCESS_ID"] = str(process)
        elif way.processes > 1:
            cluster = {"worker": [f"localhost:{port}" for port in ports]}
            task = {"type": "worker", "index": process}
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        arguments = ["--way", str(WAYS.index(way)), "--epochs", str(epochs)]
        arguments += ["--small"] * small
        runs.append(_start(arguments, environment))
    return _told(runs)[0]


def _start(arguments, environment):
    return subprocess.Popen(
        [sys.executable, __file__, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _told(runs):
    """Returns what processes print; all end with this, whatever happens."""
    try:
        told = []
        for run in runs:
            out, error = run.communicate(timeout=600)
            if run.returncode:
                raise RuntimeError(f"A process failed:\n{error[-3000:]}")
            told.append(json.loads(out.splitlines()[-1]))
        return told
    finally:
        for run in runs:
            run.kill()
            run.communicate()


def _devices(count):
    return f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]


def speed_table(ways, cases, runs):
    """Returns the table of steps a second, each beside its backend's one device.

    Args:
        ways: The `Way`s.
        cases: The `Case`s.
        runs: For each way a list of what `timed` returned.
    """
    heads = [head for case in cases for head in (f"{case.name}: steps/s", "efficiency")]
    rows = [["way", *heads]]
    for way in ways:
        alone = next(each for each in ways if each.backend == way.backend)
        cells = [way.name]
        for number in range(len(cases)):
            rates, base = (
                [rate for told in runs[each] for rate in told[number]] for each in (way, alone)
            )
            cells += [_spread(rates, 1), _spread(np.divide(rates, np.median(base)), 2)]
        rows.append(cells)
    return markdown_table(rows)


def _spread(values, places):
    low, middle, high = np.quantile(values, (0.0, 0.5, 1.0))
    if len(values) == 1:
        return f"{middle:.{places}f}"
    return f"{middle:.{places}f} ({low:.{places}f} to {high:.{places}f})"


def memory_table(units):
    """Returns the table of bytes a device."""
    rows = [["way", "teacher, MiB", "all that is kept, MiB", "temporary, MiB", "step, MiB"]]
    for name, (devices, kind) in PARTS.items():
        environment = {"KERAS_BACKEND": "jax", "XLA_FLAGS": _devices(devices)}
        found = _told([_start(["--weigh", kind, "--units", str(units)], environment)])[0]
        cells = (found[key] / MIB for key in ("teacher", "state", "temporary", "step"))
        rows.append([name, *(f"{cell:.1f}" for cell in cells)])
    return markdown_table(rows)


def main(arguments=None):
    """Prints the page, or is one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="fewer ways, one round")
    parser.add_argument("--cache", help="a folder that keeps the figures of runs")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each way")
    parser.add_argument("--way", type=int, help="of one process: which way it trains")
    parser.add_argument("--epochs", type=int, help="of one process: how many are timed")
    parser.add_argument("--weigh", choices=("plain", "data", "model"), help="of one process")
    parser.add_argument("--units", type=int, help="of one process: of a teacher's layer")
    options = parser.parse_args(arguments)
    keras.config.disable_interactive_logging()
    ways, cases = (SMALL_WAYS, SMALL_CASES) if options.small else (WAYS, CASES)
    if options.way is not None:
        train(WAYS[options.way], cases, options.epochs)
        return
    if options.weigh:
        weigh(options.weigh, options.units)
        return
    rounds, epochs, units = (1, 1, 256) if options.small else (options.rounds, 3, WIDE)
    runs = {way: [] for way in ways}
    quietly = Undisturbed(options.cache, tries=1 if options.small else 3)
    command = SCRIPT if options.rounds == 2 else f"{SCRIPT} --rounds {options.rounds}"
    for turn in range(rounds):
        for way in ways:
            kept_as = f"devices_{WAYS.index(way)}_{turn}"
            runs[way].append(quietly(kept_as, timed, way, epochs, options.small))
    batches = " and ".join(str(case.batch) for case in cases)
    print(
        f"## On several devices of one CPU\n\n`{SCRIPT}` prints this section.\n\nSteps a second of "
        f"`Distiller.fit` beside a live teacher, in batches of {batches} on all devices together. "
        "Devices, replicas and processes share the same cores, so that 1.00 would be spreading "
        f"that costs nothing. Median (least to most) of {epochs * rounds} epochs, in runs of "
        f"each way: {rounds}. Efficiency: over the median of one device.\n\n"
        f"{speed_table(ways, cases, runs)}\n\n"
        f"### A teacher in parts\n\nMLP {units}-{units} to MLP 256, JAX, batches of 64: what the "
        "fullest device holds of the teacher's weights, and of all that a step is handed "
        "(weights, optimizer, metrics), counted by its shards; and what XLA says of the compiled "
        "step for each device (`memory_analysis`): its temporary values, and in all with the "
        "arguments and the results that do not take their place. It is planned, not measured: a "
        f"CPU does not tell its peak.\n\n{memory_table(units)}\n"
    )
    print("\n".join([*setup_lines(command), quietly.line()]))
    print(f"- JAX rows: jax {importlib.metadata.version('jax')}")


if __name__ == "__main__":
    main()

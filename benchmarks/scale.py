"""What labelling on many machines costs, and where it stops to scale.

    python benchmarks/scale.py          # prints scale.md
    python benchmarks/scale.py --small  # a minute

Processes of this machine label with a teacher that sleeps, so that they do not share cores; what a
process, a file and a look at the folder cost is measured; a fleet is simulated with these costs.
"""

import argparse
import dataclasses
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from scale_simulation import Fleet, efficiency, seconds
from setup_lines import setup_lines

import keras_kd
from keras_kd.cache import identity
from keras_kd.evaluation.run_report import markdown_table

BATCH, SLEEP = 64, 0.05  # examples of a batch, and seconds that the sleeping teacher takes for it
SHARD = 2048  # examples of a file
RATE = 500.0  # examples a second of a simulated worker: assumed
FAILURES, SLOW = 0.1, 0.05  # deaths an hour, and the share that is four times as slow: assumed


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    examples: int = 16_384  # of each process
    processes: tuple = (1, 2, 4)
    repeats: int = 3
    files: int = 500
    simulated: int = 10**9
    workers: tuple = (10, 100, 1_000, 10_000)


FULL = Settings()
SMALL = Settings(
    examples=512, processes=(1, 2), repeats=1, files=20, simulated=10**7, workers=(10, 100)
)


def sleeping():
    """Returns a teacher that takes as long whatever else the machine does."""
    identity._SHARD_EXAMPLES = 128  # a part of a few files

    def answer(x):
        time.sleep(SLEEP * len(x) / BATCH)
        return said(x)

    return answer


def said(x):
    """Returns ten logits for each example."""
    return np.full((len(x), 10), -1.0, "float32")


def examples(start, stop):
    """Returns the numbers from `start` on, as examples."""
    return np.arange(start, stop, dtype="float32")[:, None]


def main():
    """Prints the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a minute, for the tests")
    settings = SMALL if parser.parse_args().small else FULL
    keras.config.disable_interactive_logging()
    start = _start()
    seal, look = _file(settings.files)
    print("# Labelling on many machines\n\n`benchmarks/scale.py` prints this part.\n")
    print(
        f"A teacher that sleeps {SLEEP * 1000:.0f} ms for {BATCH} examples stands for one on a "
        f"device of its own. Mean ± standard deviation of {settings.repeats} runs.\n"
    )
    print(_processes(settings))
    print(f"\n- a worker: {start:.1f} s from its start to its first example, with a small teacher")
    print(f"- a file of the cache: {seal * 1000:.1f} ms to write, flush and seal")
    print(f"- a look at a file, to tell whether it is missing: {look * 1000:.2f} ms\n")
    print(_simulated(settings, start, seal, look))
    print("\n".join(setup_lines("benchmarks/scale.py")))


def _processes(settings):
    rows = [["processes", "examples/s, all together", "efficiency"]]
    alone = None
    for count in settings.processes:
        rates = [_rate(count, settings.examples) for _ in range(settings.repeats)]
        rate, spread = np.mean(rates), np.std(rates, ddof=1) if len(rates) > 1 else 0.0
        alone = alone or rate
        cell = f"{rate:,.0f} ± {spread:,.0f}"
        rows.append([str(count), cell, f"{rate / alone / count:.2f}"])
    return markdown_table(rows)


def _rate(count, each):
    """Returns examples a second of so many processes that label at once."""
    with tempfile.TemporaryDirectory() as folder:
        data = ["--dataset", "scale:examples", "--examples", str(each * count)]
        workers = [
            _worker(folder, "scale:sleeping", *data, "--shard", f"{index}/{count}")
            for index in range(count)
        ]
        lines = [worker.communicate()[0] for worker in workers]
    return sum(float(re.search(r"([\d,]+) a second", line)[1].replace(",", "")) for line in lines)


def _worker(folder, teacher, *options):
    command = [sys.executable, "-m", "keras_kd.label", "--cache", folder, "--teacher", teacher]
    command += ["--batch-size", str(BATCH), *options]
    here = Path(__file__).parent
    path = os.pathsep.join(filter(None, (str(here.parent), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=here, env={**os.environ, "PYTHONPATH": path}
    )


def _start():
    """Returns the seconds that a worker takes whose part is complete."""
    with tempfile.TemporaryDirectory() as folder:
        teacher = keras.Sequential([keras.Input((1,)), keras.layers.Dense(10)])
        teacher.save(f"{folder}/teacher.keras")
        options = ["--dataset", "scale:examples", "--examples", "128", "--shard", "0/1"]
        for _ in range(2):  # the second finds all done
            began = time.perf_counter()
            _worker(f"{folder}/says", f"{folder}/teacher.keras", *options).communicate()
        return time.perf_counter() - began


def _file(count):
    """Returns the seconds to write and to look at a file: many small ones against a large one."""
    took = {}
    for size in (8, 8 * count):
        identity._SHARD_EXAMPLES = identity._BLOCK_EXAMPLES = size
        with tempfile.TemporaryDirectory() as folder:
            cache = keras_kd.TeacherCache(folder, said)
            done = cache.label_part(examples, 0, 1, examples=8 * count, batch_size=8)
            began = time.perf_counter()
            cache.missing_parts(1)
            took[size] = done.seconds, time.perf_counter() - began
    return tuple(
        max(small - large, 0.0) / count for small, large in zip(*took.values(), strict=True)
    )


def _simulated(settings, start, seal, look):
    rows = [["workers", "parts", "files each", "hours", "efficiency", "sealing a second"]]
    total = settings.simulated
    for workers in settings.workers:
        fleet = Fleet(workers, RATE, start, FAILURES, SLOW)
        for parts in (workers, 4 * workers, 16 * workers):
            took = seconds(fleet, total, parts)
            rows.append(
                [
                    f"{workers:,}",
                    f"{parts:,}",
                    f"{total / SHARD / parts:,.0f}",
                    f"{took / 3600:,.2f}",
                    f"{efficiency(fleet, total, parts):.2f}",
                    f"{total / SHARD / took:,.0f}",
                ]
            )
    files = total / SHARD
    return (
        f"Simulated: {total:,} examples in {files:,.0f} files, {RATE:.0f} examples a second of "
        f"each worker, {FAILURES} deaths an hour, {SLOW:.0%} of them four times as slow (assumed), "
        f"with the costs above.\n\n{markdown_table(rows)}\n\n"
        f"Under one lock {1 / max(seal, 1e-9):,.0f} files a second could be sealed; the cache has "
        f"sixteen. To tell what is missing, `job.missing()` looks at all files: "
        f"{files * look:,.0f} s.\n"
    )


if __name__ == "__main__":
    main()

"""On a GPU: the speed of a step against its bound, and RepDistiller's CIFAR-100 table.

    python benchmarks/gpu.py pack cifar100.npz               # where TensorFlow is
    python benchmarks/gpu.py speed                           # about three minutes
    python benchmarks/gpu.py table cifar100.npz --minutes 4  # goes on where it was stopped
    python benchmarks/gpu.py page > benchmarks/gpu.md        # needs no GPU

`pack` writes 60,000 images to one file. `table --short` trains for an eighth of the epochs, in
batches four times as large; `table --only ROW ROW --together` trains rows side by side on the same
batches, and the teacher answers once for all of them. `speed` and `table` need JAX, Keras and
keras_kd, and no TensorFlow. What they find is kept in `benchmarks/gpu.json`, from which `page`
prints; what `table` has begun is kept in the `--cache` folder. `--small` tries either on a
processor with models of no use.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes on one device

FIGURES = Path(__file__).with_suffix(".json")


def speed(options):
    """Compiles all pairs side by side, then times them one after the other."""
    from gpu_speed import LANGUAGE_PAIR, PAIRS, SMALL_PAIRS

    batches = (4,) if options.small else (64, 1024)
    pairs = SMALL_PAIRS if options.small else PAIRS
    benches = [(pair, batch) for pair in pairs for batch in batches]
    benches.append((LANGUAGE_PAIR, 2 if options.small else 8))
    spawn = multiprocessing.get_context("spawn")
    children = []
    for bench in benches:
        ours, theirs = spawn.Pipe()
        arguments = (theirs, *bench, options.small)
        process = spawn.Process(target=_bench, args=arguments, daemon=True)
        process.start()
        theirs.close()
        children.append((bench, ours, process))
    for bench, pipe, _ in children:
        print(f"{bench}: compiled after {pipe.recv():.0f} s", flush=True)
    figures = []
    for (pair, batch), pipe, process in children:
        pipe.send("measure")
        figures.append({"pair": pair, "batch": batch, **pipe.recv()})
        process.join()
        print(json.dumps(figures[-1]), flush=True)
    _keep(options.figures, speed=figures)


def _bench(pipe, pair, batch, small):
    """One pair's process: it says when it has compiled and measures when it is told to."""
    from gpu_speed import Bench
    from gpu_step import on_what

    start = time.perf_counter()
    bench = Bench(pair, batch, small)
    bench.compile()
    pipe.send(time.perf_counter() - start)
    pipe.recv()
    pipe.send({"rows": bench.measure(), **bench.shape, **on_what()})


def table(options):
    """Trains rows of the table until the time is over or a SIGTERM comes."""
    from gpu_images import random_images, unpack
    from gpu_rows import ROWS
    from gpu_table import Table

    until = [time.monotonic() + 60.0 * options.minutes]
    signal.signal(signal.SIGTERM, lambda *_: until.append(0.0))
    if options.small:
        data = random_images(64, 8, 4), random_images(20, 8, 4)
    else:
        data = unpack(options.images)
    bench = Table(data, options.cache.expanduser(), options.small, options.short)
    names = options.only or list(ROWS)
    bench.fill(names, options.seeds, lambda: time.monotonic() < min(until), options.together)
    _keep(options.figures, table=bench.results())


def pack(options):
    """Packs a TFDS set into one file."""
    import gpu_images

    gpu_images.pack(options.data_dir, options.dataset, options.images)


def page(options):
    """Prints the page from the figures that are kept."""
    from gpu_page import lines

    print("\n".join(lines(json.loads(options.figures.read_text()))))


def _keep(file, **found):
    kept = json.loads(file.read_text()) if file.exists() else {}
    if "speed" in found and "speed" in kept:
        found["speed_before"] = kept["speed"]
    file.write_text(json.dumps(kept | found, indent=1, sort_keys=True) + "\n")


def main(arguments=None):
    """Runs one of the commands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    added = {
        each.__name__: commands.add_parser(each.__name__) for each in (speed, table, pack, page)
    }
    for name, command in added.items():
        if name != "pack":
            command.add_argument("--figures", type=Path, default=FIGURES)
    for name in ("speed", "table"):
        added[name].add_argument("--small", action="store_true", help="for a try on a processor")
    added["table"].add_argument("images", type=Path, nargs="?", help="a packed file")
    added["table"].add_argument("--short", action="store_true", help="30 epochs, larger batches")
    added["table"].add_argument("--minutes", type=float, default=4.0)
    added["table"].add_argument("--cache", type=Path, default=Path("~/.cache/keras_kd/gpu"))
    added["table"].add_argument("--only", nargs="+", help="these rows alone")
    added["table"].add_argument("--together", action="store_true", help="in one program")
    added["table"].add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    added["pack"].add_argument("images", type=Path)
    added["pack"].add_argument("--dataset", default="cifar100")
    added["pack"].add_argument("--data-dir", default=os.environ.get("KERAS_KD_DATA_DIR"))
    options = parser.parse_args(arguments)
    if options.command == "table" and options.images is None and not options.small:
        parser.error("table needs a packed file; `gpu.py pack FILE` makes one")
    {"speed": speed, "table": table, "pack": pack, "page": page}[options.command](options)


if __name__ == "__main__":
    sys.exit(main())

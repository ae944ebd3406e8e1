"""The options of `python -m keras_kd.label`."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Sequence
from typing import Any

_FUNCTION = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
_WHEN = """
Each worker is started with the same options and another I, from 0 to N - 1, by whatever starts
processes: a Slurm array, a Kubernetes job, GNU parallel, a loop. The order does not matter, a part
may run twice, and what is complete is not asked again: after a failure the same command goes on.

FUNCTION is MODULE:NAME, of a module that Python finds here, such as `imagenet:train` for
`def train(start, stop)` in imagenet.py.

It ends with status 0 when the part is complete; 1 when something failed that may go well another
time (a disk, a lock, memory); 2 when an option, the teacher or the data are wrong, which no second
try mends; with --missing, 3 when parts are missing.
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Returns the command line's options; ends the program with status 2 where they are wrong."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.missing is not None:
        return options
    needed = ("teacher", "dataset", "shard")
    lacking = [f"--{name}" for name in needed if getattr(options, name) is None]
    if lacking:
        parser.error(f"the following arguments are required: {', '.join(lacking)}")
    return options


def function_or_text(option: str, value: str | None) -> Any:
    """Returns the function that MODULE:NAME names; other text, or None, as it is.

    Raises:
        ValueError: If there is no such module or function.
    """
    match = _FUNCTION.fullmatch(value or "")
    if match is None:
        return value
    try:
        found = getattr(importlib.import_module(match[1]), match[2])
    except (ImportError, AttributeError) as error:
        raise ValueError(
            "MODULE:NAME of a function was expected, in a module that Python can import from here. "
            f"Received: --{option} {value} ({type(error).__name__}: {error})"
        ) from error
    if not callable(found):
        raise ValueError(f"A function was expected. Received: --{option} {value}, {found!r:.200}")
    return found


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m keras_kd.label",
        description="Labels one of N parts of a data set with a teacher, into a TeacherCache.",
        epilog=_WHEN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--cache", required=True, metavar="PATH", help="folder of the answers, which all share")
    add(
        "--teacher",
        metavar="FILE|FUNCTION",
        help="a .keras, .tflite or .onnx file, a SavedModel, or a function that makes the teacher",
    )
    add(
        "--dataset",
        metavar="NAME|FUNCTION",
        help="a TFDS set, or f() or f(start, stop) that returns examples",
    )
    add("--split", help="of the TFDS set (default: train)")
    add("--data-dir", metavar="FOLDER", help="of TFDS; default: its own")
    add("--examples", type=int, metavar="COUNT", help="where a function's data do not tell")
    add("--prepare", metavar="FUNCTION", help="f(*example) that makes x or (x, y) of an example")
    add("--augment", metavar="FUNCTION", help="f(x, seed) that makes a view of an example")
    add("--views", type=int, default=1, help="of each example, with --augment (default: 1)")
    add("--shard", type=_shard, metavar="I/N", help="which part of how many, from 0/N to N-1/N")
    add(
        "--missing", type=int, metavar="N", help="label nothing: print which of N parts are missing"
    )
    add("--batch-size", type=int, default=256, metavar="COUNT", help="default: 256")
    add("--dtype", choices=("float16", "bfloat16", "float32"), default="float16")
    add("--top-k", type=int, metavar="K", help="keep the K largest probabilities alone")
    add("--layers", nargs="+", default=(), metavar="NAME", help="keep these layers' values too")
    add(
        "--outputs",
        choices=("logits", "probabilities"),
        help="what the teacher returns; default: it is found out",
    )
    return parser


def _shard(text):
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise argparse.ArgumentTypeError(
            f"I/N was expected, with I from 0 to N - 1, such as 0/10. Received: {text}"
        )
    return int(match[1]), int(match[2])

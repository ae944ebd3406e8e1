"""The command line of `python -m keras_kd.label`."""

from __future__ import annotations

import sys
import traceback
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from keras_kd.cache import TeacherCache
from keras_kd.scale.label_job import LabelJob
from keras_kd.scale.label_options import function_or_text, parse

_PACKAGE = str(Path(__file__).parents[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Labels one part, or says which are missing; returns the exit status."""
    options = parse(arguments)
    try:
        return _print_missing(options) if options.missing is not None else _label(options)
    except (FileNotFoundError, ImportError, TypeError, ValueError) as error:
        _say(error)
        return 2
    except OSError as error:
        _say(error)
        return 1


def _label(options: Namespace) -> int:
    index, count = options.shard
    found = {
        name: function_or_text(name, getattr(options, name))
        for name in ("teacher", "dataset", "prepare", "augment")
    }
    named = isinstance(found["dataset"], str)
    job = LabelJob(
        options.cache,
        count=count,
        split=options.split or ("train" if named else None),
        data_dir=options.data_dir,
        examples=options.examples,
        views=options.views,
        batch_size=options.batch_size,
        dtype=options.dtype,
        top_k=options.top_k,
        layers=options.layers,
        from_logits=None if options.outputs is None else options.outputs == "logits",
        **found,
    )
    print(job(index), flush=True)
    return 0


def _print_missing(options: Namespace) -> int:
    missing = TeacherCache(options.cache, None).missing_parts(options.missing)
    for index in missing:
        print(index)
    return 3 if missing else 0


def _say(error: Exception) -> None:
    """Prints what the library says in its message, and where another's error came from."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or not frames[-1].filename.startswith(_PACKAGE):
        traceback.print_exception(error)
        return
    notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
    print(f"keras_kd.label: {error}{notes}", file=sys.stderr)

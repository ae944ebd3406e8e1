"""A progress bar with rate and time left."""

import contextlib

import keras
import rich.progress


@contextlib.contextmanager
def progress(what, total):
    """Shows how far a pass over the data is.

    Args:
        what: What is done.
        total: The number of examples, or None if it is unknown.

    Yields:
        A function that is told how many more examples are done.
    """
    bar = rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn("{task.fields[rate]}"),
        rich.progress.TimeRemainingColumn(),
        disable=not keras.config.is_interactive_logging_enabled(),
    )
    with bar:
        task = bar.add_task(what, total=total, rate="")

        def advance(examples):
            bar.advance(task, examples)
            speed = bar.tasks[task].speed
            bar.update(task, rate=f"{speed:,.0f} examples/s" if speed else "")

        yield advance

"""The command line of `python -m keras_kd`."""

import argparse
import contextlib
import logging
import pathlib
import signal
import sys
import threading

from keras_kd.aside import may_be_written
from keras_kd.checks import check_fraction, check_temperature, local_path
from keras_kd.data import digits, image_classification
from keras_kd.demo.report import write_demo_report
from keras_kd.demo.run import Run


def main(arguments=None) -> int:
    """Runs the demo; returns the exit status."""
    options = _parse(arguments)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # retracing between models is no news
    try:
        data = _load(options)
        folder = _new_folder(options)
    except (OSError, ValueError) as error:
        print(f"keras_kd: {error}", file=sys.stderr)
        return 2
    run = Run(data, folder, options)
    status = 0
    try:
        run.train()
        run.export()
    except KeyboardInterrupt:
        status = 130
        print("\nInterrupted: what is finished stays.", file=sys.stderr)
    return max(status, _report(run, interrupted=status != 0))


def _report(run, interrupted):
    """Writes the report; a first Ctrl-C meanwhile is heard when it is there."""
    heard = []
    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():

            def hear(*_):
                heard.append(True)
                signal.signal(signal.SIGINT, before)
                print("\nThe report is finished first; once more to stop.", file=sys.stderr)

            before = signal.signal(signal.SIGINT, hear)
            stack.callback(signal.signal, signal.SIGINT, before)
        write_demo_report(run, interrupted=interrupted)
    return 130 if heard else 0


def _load(options):
    if options.dataset == "digits":
        return digits()
    try:
        return image_classification(options.dataset, options.data_dir)
    except ValueError as error:
        raise ValueError(f"{error}\nWithout a download there is also: digits") from error


def _new_folder(options):
    """Returns a new folder; an earlier run's is never written into."""
    if options.out is not None:
        folder = local_path("--out", options.out)
        if folder.exists():
            raise ValueError(f"The folder exists; give another. Received: --out {folder}")
    else:
        names = (
            f"{options.dataset.replace('/', '-')}{end}"
            for end in ("", *(f"-{number}" for number in range(2, 10_000)))
        )
        folder = next(p for name in names if not (p := pathlib.Path("runs") / name).exists())
    with may_be_written(folder):
        (folder / "models").mkdir(parents=True)
    return folder


def _parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m keras_kd",
        description="Trains a teacher; trains the same small student alone on few labels, on these "
        "and what the teacher says of all images, and on all labels; exports the distilled "
        "student, runs every export, and writes a report to runs/<dataset>/.",
    )
    parser.add_argument(
        "--dataset",
        default="digits",
        help="'digits' (the default: real, no download) or the name of any TFDS "
        "image-classification set",
    )
    parser.add_argument("--data-dir", help="the folder TFDS keeps its sets in")
    parser.add_argument("--epochs", type=_count, help="for every net (default: by the set's size)")
    parser.add_argument("--seeds", type=_count, default=5, help="students of each kind (default 5)")
    parser.add_argument(
        "--labels",
        type=_count_or_all,
        default=100,
        help="how many images are labelled for the students, or 'all' (default 100)",
    )
    parser.add_argument(
        "--student-width",
        type=_count,
        help="units or channels of the student (default 16 on tiny images, else 8)",
    )
    parser.add_argument(
        "--temperature", type=_checked(check_temperature), default=2.0, help="above 0 (default 2)"
    )
    parser.add_argument(
        "--alpha",
        type=_checked(check_fraction),
        default=0.1,
        help="weight of the labels, 0 to 1 (default 0.1)",
    )
    parser.add_argument("--out", help="a new folder (default: runs/<dataset>)")
    options = parser.parse_args(arguments)
    options.arguments = sys.argv[1:] if arguments is None else list(arguments)
    return options


def _count_or_all(text):
    return None if text == "all" else _count(text)


def _count(text):
    with contextlib.suppress(ValueError):
        if int(text) > 0:
            return int(text)
    raise argparse.ArgumentTypeError(f"a whole number above 0 was expected. Received: {text!r}")


def _checked(check):
    def convert(text):
        try:
            return check(float(text))
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert

"""The command line of `python -m keras_kd`."""

import contextlib
import logging
import pathlib
import signal
import sys
import threading

from keras_kd.aside import may_be_written
from keras_kd.checks import local_path
from keras_kd.demo.augmentation import Augmentation
from keras_kd.demo.check_student import check_student
from keras_kd.demo.check_teacher import check_teacher
from keras_kd.demo.load_data import load_data
from keras_kd.demo.nets import PIXELS, Nets
from keras_kd.demo.options import parse
from keras_kd.demo.own_model import load_own_model
from keras_kd.demo.report import write_demo_report
from keras_kd.demo.run import Run


def main(arguments=None) -> int:
    """Runs the demo; returns the exit status."""
    options = parse(arguments)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # retracing between models is no news
    try:
        run = _prepared(options)
    except (OSError, TypeError, ValueError) as error:
        print(f"keras_kd: {error}", file=sys.stderr)
        return 2
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


def _prepared(options):
    """Returns a `Run`; what cannot work is said before anything is trained or written."""
    own = {
        role: load_own_model(role, path, options.modules)
        for role, path in (("teacher", options.teacher), ("student", options.student))
        if path is not None
    }
    data = load_data(options, list(own.values()))
    teacher = own.get("teacher")
    nets = Nets(
        data.image_shape,
        data.num_classes or teacher.num_classes,
        student_width=options.student_width,
        keep_weights=options.keep_weights,
        pixels=options.pixels,
        class_names=data.class_names or options.class_names,
        **own,
    )
    doubts = [check_teacher(teacher, data, options.pixels)] if teacher is not None else []
    if nets.own_student is not None:
        doubts.append(check_student(nets))
    for doubt in filter(None, doubts):
        print(f"keras_kd: {doubt}", file=sys.stderr)
    augment = None
    if options.augment is not None:
        augment = Augmentation(options.augment == "flips", black=PIXELS[options.pixels][0])
    folder = _new_folder(options)
    return Run(data, folder, options, nets=nets, augment=augment, rate=options.rate)


def _new_folder(options):
    """Returns a new folder; an earlier run's is never written into."""
    if options.out is not None:
        folder = local_path("--out", options.out)
        if folder.exists():
            raise ValueError(f"The folder exists; give another. Received: --out {folder}")
    else:
        names = (
            f"{_name(options.dataset)}{end}"
            for end in ("", *(f"-{number}" for number in range(2, 10_000)))
        )
        folder = next(p for name in names if not (p := pathlib.Path("runs") / name).exists())
    with may_be_written(folder):
        (folder / "models").mkdir(parents=True)
    return folder


def _name(dataset):
    path = pathlib.Path(dataset)
    return path.resolve().name if path.is_dir() else dataset.replace("/", "-")

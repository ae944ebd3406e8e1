"""The command line of `python -m keras_kd`."""

import argparse
import contextlib
import logging
import pathlib
import signal
import sys
import threading

from keras_kd.aside import may_be_written
from keras_kd.checks import check_fraction, check_number, check_temperature, local_path
from keras_kd.demo.augmentation import VIEWS, Augmentation
from keras_kd.demo.check_student import check_student
from keras_kd.demo.check_teacher import check_teacher
from keras_kd.demo.load_data import load_data
from keras_kd.demo.nets import PIXELS, Nets
from keras_kd.demo.own_model import load_own_model
from keras_kd.demo.report import write_demo_report
from keras_kd.demo.run import Run


def main(arguments=None) -> int:
    """Runs the demo; returns the exit status."""
    options = _parse(arguments)
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


def _parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m keras_kd",
        description="Trains a teacher; trains the same small student alone on few labels, on these "
        "and what the teacher says of all images, and on all labels; exports the distilled "
        "student, runs every export, and writes a report to runs/<dataset>/. With --teacher, "
        "--student or a folder as --dataset it does so with your own models and images.",
    )
    parser.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME|FOLDER",
        help="'digits' (the default: real, no download), a folder of images, or the name of any "
        "TFDS image-classification set; a folder comes first. It holds one subfolder a class, or "
        "images without labels, which need a --teacher; or such folders as train, validation and "
        "test",
    )
    parser.add_argument("--data-dir", help="the folder TFDS keeps its sets in")
    _add_own_models(parser)
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
    parser.add_argument("--rate", type=_checked(_rate), help="the students' learning rate")
    parser.add_argument(
        "--augment",
        nargs="?",
        const="shifts",
        choices=("shifts", "flips"),
        help="shift images at random, with 'flips' mirror them too (photos, not digits or "
        f"letters); the teacher answers {VIEWS} views of each",
    )
    parser.add_argument("--out", help="a new folder (default: runs/<dataset>)")
    options = parser.parse_args(arguments)
    if options.keep_weights and options.student is None:
        parser.error("--keep-weights is for a --student FILE. Received: no --student")
    options.arguments = sys.argv[1:] if arguments is None else list(arguments)
    return options


def _add_own_models(parser):
    own = parser.add_argument_group(
        "your own models and images",
        "The files are read, never changed. What a model ends in, logits or softmax, is found out.",
    )
    own.add_argument(
        "--teacher",
        metavar="FILE",
        help="a trained classifier, as model.save('teacher.keras') writes it, instead of training "
        "the demo's",
    )
    own.add_argument(
        "--student",
        metavar="FILE",
        help="a classifier to train instead of the demo's small net. Each seed starts from new "
        "weights, but for frozen layers and statistics that were adapted",
    )
    own.add_argument(
        "--keep-weights",
        action="store_true",
        help="start the students of all seeds from the weights in --student FILE instead, such as "
        "pretrained ones",
    )
    own.add_argument(
        "--class-names",
        type=_names,
        metavar="A,B,C",
        help="what the teacher's outputs are called, in their order; labels are brought into it "
        "(default: the data's order, of a folder the alphabet's)",
    )
    own.add_argument(
        "--pixels",
        choices=tuple(PIXELS),
        default="255",
        help="what the models take: pixels from 0 to 255 (the default), from 0 to 1, or centred, "
        "from -1 to 1",
    )
    own.add_argument(
        "--image-size",
        type=_count,
        help="height and width of images that neither model fixes (default 64)",
    )
    own.add_argument(
        "--import",
        dest="modules",
        metavar="MODULE",
        action="append",
        default=[],
        help="a Python module that registers layers of your own in the files; may be repeated",
    )


def _names(text):
    return [name.strip() for name in text.split(",")]


def _rate(value):
    """Returns `value` if it is a learning rate: a finite number above 0."""
    return check_number("rate", value, above=0.0)


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

"""The options of `python -m keras_kd`."""

import argparse
import contextlib
import sys

from keras_kd.checks import check_fraction, check_number, check_temperature
from keras_kd.demo.augmentation import VIEWS
from keras_kd.demo.nets import PIXELS


def parse(arguments=None):
    """Returns the command line's options; ends the program with status 2 where they are wrong."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.student is None and options.keep_weights:
        parser.error("--keep-weights is for a --student FILE. Received: no --student")
    if options.student is not None and options.student_width is not None:
        parser.error(
            "--student-width is for the demo's own student. "
            f"Received: --student {options.student} --student-width {options.student_width}"
        )
    options.arguments = sys.argv[1:] if arguments is None else list(arguments)
    return options


def _parser():
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
        "TFDS image-classification set (a folder of that name comes first). A folder holds one "
        "subfolder a class, or images without labels, which need a --teacher; or such folders as "
        "train, validation and test",
    )
    parser.add_argument("--data-dir", help="the folder TFDS keeps its sets in")
    _add_own_models(parser)
    _add_training(parser)
    parser.add_argument("--out", help="a new folder (default: runs/<dataset>)")
    return parser


def _add_training(parser):
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
    parser.add_argument(
        "--rate",
        type=_checked(_rate),
        help="the students' learning rate, at the start (default 0.01, of a --student FILE 0.001)",
    )
    parser.add_argument(
        "--augment",
        nargs="?",
        const="shifts",
        choices=("shifts", "flips"),
        help="shift images at random, with 'flips' mirror them too (photos, not digits or "
        f"letters); the teacher answers {VIEWS} views of each",
    )


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
        "(default: the data's order, of a folder the alphabet's); without labels it names them",
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

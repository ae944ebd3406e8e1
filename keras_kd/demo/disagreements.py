"""The test images of which two nets of a run say different things."""

import dataclasses

import keras
import numpy as np

from keras_kd.demo.check_teacher import decisions
from keras_kd.demo.nets import PIXELS
from keras_kd.evaluation.run_report import Picture, Section

_SHOWN = 12
_LARGEST = 112  # pixels of a side, as the page shows them


def disagreements(run):
    """Returns a `Section` with the first test images on which distilled and alone disagree.

    Of images without labels: on which the student and its teacher do. Of the students, those of the
    seed that was exported. None where nothing can be told.
    """
    distilled = run.students.get("distilled", [])
    others = run.students.get("alone", []) if run.is_labelled else [run.teacher] * len(distilled)
    if not distilled or len(others) < len(distilled):
        return None
    seed = run.best or 0
    models = {"distilled": distilled[seed], "alone": others[seed], "teacher": run.teacher}
    if not run.is_labelled:
        del models["alone"]
    found = _found(run, models)
    if not found.pictures:
        return None
    who = "distilled student and student alone" if run.is_labelled else "student and teacher"
    text = f"Of {found.examples:,} test images {who} (seed {seed}) disagree on {found.count:,}."
    if run.is_labelled:
        text += (
            f" There the distilled student is right on {found.first_right:,}, the student alone on "
            f"{found.second_right:,}, neither on "
            f"{found.count - found.first_right - found.second_right:,}."
        )
    shown = len(found.pictures)
    text += f" {'The first' if shown < found.count else 'All'} {shown}, in the order of the split:"
    return Section(f"Where {who} disagree", text, pictures=found.pictures)


@dataclasses.dataclass
class _Found:
    examples: int = 0
    count: int = 0
    first_right: int = 0
    second_right: int = 0
    pictures: list = dataclasses.field(default_factory=list)


def _found(run, models):
    """Walks the test images once; the first two of the models are those that may disagree."""
    names = run.nets.class_names
    folder = run.folder / "pictures"
    folder.mkdir(exist_ok=True)
    found = _Found()
    for images, labels in run.test.as_numpy_iterator():
        answers = {who: decisions(model, [images]) for who, model in models.items()}
        one, other = list(answers.values())[:2]
        differ = np.flatnonzero(one != other)
        for place in differ[: _SHOWN - len(found.pictures)]:
            number = found.examples + place
            path = folder / f"test_{number}.png"
            _save(images[place], PIXELS[run.nets.pixels], path)
            label = names[labels[place]] if run.is_labelled else None
            said = {who: names[answer[place]] for who, answer in answers.items()}
            found.pictures.append(_picture(path, number, label, said))
        found.examples += len(images)
        found.count += len(differ)
        found.first_right += np.sum(one[differ] == labels[differ])
        found.second_right += np.sum(other[differ] == labels[differ])
    return found


def _picture(path, number, label, said):
    lines = [] if label is None else [f"true: {label}"]
    lines += [f"{who}: {answer}" for who, answer in said.items()]
    alt = f"Test image {number}" + ("" if label is None else f", of class {label}")
    return Picture(path, alt, "\n".join(lines))


def _save(image, pixels, path):
    low, high = pixels
    image = np.clip((image - low) * (255.0 / (high - low)), 0, 255)
    small = keras.utils.array_to_img(image, scale=False)
    small.thumbnail((_LARGEST, _LARGEST))
    small.save(path)

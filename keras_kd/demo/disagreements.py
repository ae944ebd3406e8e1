"""The test images of which two nets of a run say different things."""

import keras
import numpy as np

from keras_kd.demo.check_teacher import decisions
from keras_kd.demo.nets import PIXELS
from keras_kd.evaluation.run_report import Picture, Section

_SHOWN = 12


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
    names = run.data.class_names or [f"output {n}" for n in range(run.nets.num_classes)]
    images, labels = run.data.arrays("test")
    batches = [x for x, _ in run.test.as_numpy_iterator()]
    answers = {"distilled": decisions(distilled[seed], batches)}
    if run.is_labelled:
        answers["alone"] = decisions(others[seed], batches)
    answers["teacher"] = decisions(run.teacher, batches)
    one, other = list(answers.values())[:2]
    found = np.flatnonzero(one != other)
    if not len(found):
        return None
    what = "distilled student and student alone" if run.is_labelled else "student and teacher"
    folder = run.folder / "pictures"
    folder.mkdir(exist_ok=True)
    pictures = []
    for number in found[:_SHOWN]:
        said = {who: names[answer[number]] for who, answer in answers.items()}
        path = folder / f"test_{number}.png"
        _save(images[number], PIXELS[run.nets.pixels], path)
        pictures.append(
            _picture(path, number, names[labels[number]] if run.is_labelled else None, said)
        )
    text = f"Of {len(images):,} test images {what} (seed {seed}) disagree on {len(found):,}."
    if run.is_labelled:
        right, wrong = (int(np.sum(each[found] == labels[found])) for each in (one, other))
        text += (
            f" There the distilled student is right on {right:,}, the student alone on {wrong:,}, "
            f"neither on {len(found) - right - wrong:,}."
        )
    shown = len(pictures)
    text += f" {'The first' if shown < len(found) else 'All'} {shown}, in the order of the split:"
    return Section(f"Where {what} disagree", text, pictures=pictures)


def _picture(path, number, label, said):
    lines = [] if label is None else [f"true: {label}"]
    lines += [f"{who}: {answer}" for who, answer in said.items()]
    alt = f"Test image {number}" + ("" if label is None else f", of class {label}")
    return Picture(path, alt, "\n".join(lines))


def _save(image, pixels, path):
    low, high = pixels
    image = np.clip((image - low) * (255.0 / (high - low)), 0, 255).astype("uint8")
    keras.utils.save_img(path, image, scale=False)

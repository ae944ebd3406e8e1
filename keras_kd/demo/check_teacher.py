"""Whether a teacher knows the data that it is to teach."""

import math

import numpy as np

from keras_kd.demo.nets import PIXELS
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.predict_on_batch import predict_on_batch

_LEAST, _MOST = 100, 2_000  # images that are looked at, as many as take 256 MiB
_ONE_CLASS = 0.95  # share of unlabelled images of one class that raises doubts


def check_teacher(own, data, pixels):
    """Raises if a user's teacher is no better than chance on the labelled validation split.

    Such a teacher sees pixels of another range than it was trained on, or its outputs stand in
    another order than the labels; what would do better is named.

    Args:
        own: The `OwnModel`.
        data: The `ImageData`, with labels or without.
        pixels: A key of `PIXELS`, what the data hold.

    Returns:
        A sentence that doubts the teacher, or None.

    Raises:
        ValueError: If it is no better than chance.
    """
    few = data.validation.take(max(_LEAST, min(_MOST, 2**26 // math.prod(data.image_shape))))
    images, labels = zip(*few.batch(100).as_numpy_iterator(), strict=True)
    labels, answers = np.concatenate(labels), decisions(own.model, images)
    if not data.class_names:
        return _one_class(answers, own.num_classes)
    chance = _best_by_chance(labels)
    order = _other_order(answers, labels, data.class_names)
    if _mean_recall(answers, labels) > chance or chance >= 1.0:  # few images tell nothing
        return order and f"Is the order of the classes right? {order}"
    hints = [*_other_pixels(own.model, images, labels, pixels), *([order] if order else [])]
    raise ValueError(
        "The teacher is no better than chance on the labelled images, so that nothing can be "
        "learned from it. Likely causes: pixels of another range than it was trained on (--pixels "
        "255, 1 or centred), or outputs in another order than the classes (--class-names). "
        + "".join(f"{hint} " for hint in hints)
        + f"Received: --teacher {own.path}, {_right(answers, labels)} right of {len(labels)} "
        f"validation images, --pixels {pixels}, classes in the order "
        f"{', '.join(data.class_names[:12])}"
    )


def decisions(model, batches):
    """Returns the class that a model decides for, of each image of the batches."""
    found = [predict_on_batch(model, own_inputs(x, model)) for x in batches]
    return np.concatenate([np.asarray(each).argmax(-1) for each in found])


def _mean_recall(answers, labels):
    """The mean over classes: who always says the same class has no more than one of its share."""
    return np.mean([np.mean(answers[labels == label] == label) for label in np.unique(labels)])


def _best_by_chance(labels):
    """What guessing reaches at most, in 97 of 100 cases."""
    counts = np.unique(labels, return_counts=True)[1]
    share = 1.0 / len(counts)
    return share + 2.0 * math.sqrt(share * (1.0 - share) * np.sum(1.0 / counts)) / len(counts)


def _right(answers, labels):
    return f"{100 * np.mean(answers == labels):.1f} %"


def _other_order(answers, labels, names):
    """What would be right if the outputs meant other classes, where each means just one."""
    of_class = [
        np.bincount(answers[labels == label], minlength=1).argmax() if label in labels else -1
        for label in range(len(names))
    ]
    if sorted(of_class) != list(range(len(names))) or of_class == sorted(of_class):
        return None
    order = ",".join(names[of_class.index(output)] for output in range(len(names)))
    return (
        f"With --class-names {order} {_right(answers, np.array(of_class)[labels])} would be right."
    )


def _other_pixels(model, images, labels, pixels):
    low, high = PIXELS[pixels]
    chance = _best_by_chance(labels)
    for other, (new_low, new_high) in PIXELS.items():
        if other == pixels:
            continue
        scale = (new_high - new_low) / (high - low)
        answers = decisions(model, [(x - low) * scale + new_low for x in images])
        if _mean_recall(answers, labels) > chance:
            yield f"With --pixels {other} {_right(answers, labels)} would be right."


def _one_class(answers, num_classes):
    share = np.bincount(answers, minlength=num_classes).max() / len(answers)
    if share < _ONE_CLASS:
        return None
    return (
        f"The teacher says output {np.bincount(answers).argmax()} of {100 * share:.0f} % of the "
        "images: are these the pixels that it was trained on (--pixels 255, 1 or centred)?"
    )

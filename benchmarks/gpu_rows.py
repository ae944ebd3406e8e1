"""The rows of the CIFAR-100 table: each loss in the sum that was published, and what it gave.

The published figures are of ResNet-56 to ResNet-20, the mean of five runs in RepDistiller's README
(three in DKD's, DIST's and ReviewKD's papers): test accuracy after the last epoch, in %.
"""

import dataclasses

from keras_kd import losses
from keras_kd.features import Tap

STAGES = ("stage1", "stage2", "stage3")
LAYERS = (*STAGES, "pool", "logits")  # what the teacher says of each batch


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        shown: The published sum, as the page has it.
        published: The accuracy that its authors or RepDistiller give, in %.
        arguments: Makes the Distiller's arguments from the number of training images and the
            shapes of the teacher's layers; None for the student alone.
        warm_up: Epochs over which the feature loss' weight rises to its own, or 0.
    """

    shown: str
    published: float
    arguments: object = None
    warm_up: int = 0


def beside_labels(name, layers, **settings):
    """Returns what makes the arguments of labels plus one loss, without KD."""

    def arguments(images, shapes):
        taps = {layer: Tap(layer, shape=shapes[layer]) for layer in layers}
        given = {key: each(images) if callable(each) else each for key, each in settings.items()}
        loss = getattr(losses, name)(layers=taps, **given)
        return {"alpha": 1.0, "kd_loss": None, "feature_losses": [loss]}

    return arguments


def knowledge(images, shapes):
    """Makes the arguments of labels plus Hinton's loss."""
    kd_loss = losses.KDLoss(teacher_from_logits=True)
    return {"alpha": 0.1, "temperature": 4.0, "kd_loss": kd_loss}


ROWS = {
    "alone": Row("CE", 69.06),
    "KD": Row("0.1 CE + 0.9 KD, T 4", 70.66, knowledge),
    "DIST": Row(
        "CE + 2 DIST, T 4",
        71.75,
        beside_labels("DISTLoss", ("logits",), weight=2.0, temperature=4.0),
    ),
    "DKD": Row(
        "CE + DKD, beta 2, T 4, warm-up 20",
        71.97,
        beside_labels("DKDLoss", ("logits",), weight=1.0, beta=2.0, temperature=4.0),
        warm_up=20,
    ),
    "CRD": Row(
        "CE + 0.8 CRD",
        71.16,
        beside_labels(
            "CRDLoss",
            ("pool",),
            weight=0.8,
            size=lambda images: images,
            negatives=lambda images: min(16384, images - 1),
        ),
    ),
    "ReviewKD": Row(
        "CE + 0.6 ReviewKD (three stages), warm-up 20",
        71.89,
        beside_labels("ReviewKDLoss", STAGES, weight=0.6),
        warm_up=20,
    ),
    "AT": Row("CE + 1000 AT", 70.55, beside_labels("ATLoss", STAGES, weight=1000.0)),
    "FitNet": Row("CE + 100 FitNet", 69.21, beside_labels("FitNetLoss", ("stage2",), weight=100.0)),
    "SP": Row("CE + 3000 SP", 69.67, beside_labels("SPLoss", ("stage3",), weight=3000.0)),
    "VID": Row("CE + VID", 70.38, beside_labels("VIDLoss", STAGES, weight=1.0)),
    "RKD": Row("CE + RKD (25, 50)", 69.61, beside_labels("RKDLoss", ("pool",), weight=1.0)),
    "PKT": Row("CE + 30000 PKT", 70.34, beside_labels("PKTLoss", ("pool",), weight=30000.0)),
    "CC": Row(
        "CE + CC (another formula than the published one)",
        69.63,
        beside_labels("CCLoss", ("pool",)),
    ),
}


def warmed(weight, epoch, epochs):
    """Returns a loss' weight in an epoch, counted from 0, of a warm-up."""
    return weight * min(1.0, (epoch + 1) / epochs) if epochs else weight

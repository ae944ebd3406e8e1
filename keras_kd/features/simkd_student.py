"""The model that SimKD ships: the student's features under the teacher's classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_kd.features.graph_cutting import between, ends, file_copy, fresh_inputs, tapped
from keras_kd.features.layer_tree import nearest
from keras_kd.features.tap import Tap
from keras_kd.losses.formula.resample import average_to
from keras_kd.losses.sim_kd_loss import SimKDLoss, smaller_sizes
from keras_kd.typing import Tensor


def student_with_teacher_classifier(
    distiller: keras.Model, loss_name: str = "sim_kd_loss"
) -> keras.Model:
    """Returns the student up to its tapped layer, the projector, and the teacher from its own on.

    Everything in it is a copy: neither student nor teacher nor Distiller is changed or held, and
    training it trains none of them. It takes the student's inputs, gives the teacher's outputs, and
    carries no layer of the teacher below the tap. Compile it to evaluate or to train on.

    Args:
        distiller: A `keras_kd.Distiller` with a `losses.SimKDLoss` of one pair of layers, trained.
        loss_name: The loss' name. Defaults to `"sim_kd_loss"`.

    Returns:
        A `keras.Model` of three: the student's features, `"projector"` and `"classifier"`.

    Raises:
        ValueError: If there is no such loss, or no teacher, the models are neither Functional nor
            Sequential, or the teacher's outputs need more than the tapped value, be it a mask.

    Example:

    >>> import keras, keras_kd
    >>> def net(width):
    ...     top = keras.layers.Dense(width, "relu", name="top")
    ...     return keras.Sequential([keras.Input((4,)), top, keras.layers.Dense(3)])
    >>> loss = keras_kd.losses.SimKDLoss(layers={"top": "top"})
    >>> distiller = keras_kd.Distiller(net(2), net(64), alpha=0.0, kd_loss=None,
    ...                                feature_losses=[loss])
    >>> model = keras_kd.features.student_with_teacher_classifier(distiller)
    >>> model.output_shape
    (None, 3)

    Reference: Chen et al., "Knowledge Distillation with the Reused Teacher Classifier", CVPR 2022.
    """
    term = _term(distiller, loss_name)
    if distiller.teacher is None:
        raise ValueError(
            "The classifier is the teacher's, which must be there: make a Distiller of the same "
            "student and loss with the teacher, and give it this one's weights, "
            "`set_weights(distiller.get_weights())`. Received: teacher=None"
        )
    ((ours, theirs),) = term.loss.layers.items()
    ours, theirs = Tap.of(ours), Tap.of(theirs)
    student, teacher = (
        file_copy(distiller.student, "student"),
        file_copy(distiller.teacher, "teacher"),
    )
    value = tapped(student, ours, "student")
    features = between(ends(student)[0], value, student.name, "student", ours)
    target = tapped(teacher, theirs, "teacher")
    classifier = between(target, ends(teacher)[1], "classifier", "teacher", theirs)
    projector = _projector(value.shape, target.shape, term.parts[0])
    if projector.output_shape[1:] != tuple(target.shape)[1:]:
        classifier = _resized(classifier, projector.output_shape)
    inputs = fresh_inputs(student)
    outputs = classifier(projector(features(inputs)))
    return keras.Model(inputs, outputs, name=f"{student.name}_with_teacher_classifier")


def _term(distiller, loss_name):
    terms = {term.name: term for term in distiller.feature_terms}
    if loss_name not in terms:
        raise ValueError(
            f"The Distiller has no feature loss of that name. Received: loss_name={loss_name!r}."
            f"{nearest(loss_name, terms)} Available: {list(terms)}"
        )
    loss = terms[loss_name].loss
    if not isinstance(loss, SimKDLoss) or len(loss.layers) != 1:
        raise ValueError(
            "A keras_kd.losses.SimKDLoss of one pair of layers was expected. Received: "
            f"{type(loss).__name__} with layers={loss.layers}"
        )
    return terms[loss_name]


def _projector(student_shape, teacher_shape, part):
    """Returns the loss' part as a model of Keras' own layers, with its pooling."""
    ours, sizes = student_shape[1:-1], smaller_sizes(teacher_shape, student_shape)
    layers = [keras.Input(student_shape[1:])]
    if tuple(ours) != sizes:
        if all(a % b == 0 for a, b in zip(ours, sizes, strict=True)):
            kind = (
                keras.layers.AveragePooling2D if len(sizes) == 2 else keras.layers.AveragePooling1D
            )
            blocks = tuple(a // b for a, b in zip(ours, sizes, strict=True))
            layers.append(
                kind(
                    blocks if len(sizes) == 2 else blocks[0],
                    data_format="channels_last",
                    dtype=part.dtype,
                )
            )
        else:
            layers.append(AverageTo(sizes, dtype=part.dtype))
    copies = [type(layer).from_config(layer.get_config()) for layer in part.layers]
    projector = keras.Sequential([*layers, *copies], name="projector")
    for copy, layer in zip(copies, part.layers, strict=True):
        copy.set_weights(layer.get_weights())
    return projector


def _resized(classifier, shape):
    """Returns the classifier for features of another resolution, if it can take them."""
    try:
        resized = keras.models.clone_model(classifier, input_tensors=keras.Input(shape[1:]))
        resized.set_weights(classifier.get_weights())
    except ValueError as error:
        raise ValueError(
            "The teacher's classifier does not take features of the student's resolution, which "
            f"is the smaller one. Received: {shape}, the teacher's {classifier.input_shape}. "
            f"{error}"
        ) from error
    return resized


@keras.saving.register_keras_serializable(package="keras_kd")
class AverageTo(keras.layers.Layer):
    """Averages a map or a sequence to a resolution that need not divide its own.

    Args:
        sizes: `(height, width)` of the maps, or `(length,)` of the sequences, that come out.
        **kwargs: `dtype`, `name`.
    """

    def __init__(self, sizes: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)

    def call(self, value: Tensor) -> Tensor:
        """Returns the means of the windows."""
        return average_to(value, self.sizes)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        """Returns the shape of what comes out."""
        return (shape[0], *self.sizes, shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "sizes": self.sizes}

"""The model that learns what to make of other models' predictions."""

import keras
import numpy as np

from keras_kd.features.model_digest import model_digest
from keras_kd.features.model_spec import input_spec, inspect_model
from keras_kd.features.predict_on_batch import predict_on_batch
from keras_kd.teachers.held_out import class_numbers
from keras_kd.teachers.members import check_member

_PROBES = 512  # made-up predictions, by the answers to which a final model is known


class FinalModel:
    """A final model of Keras, or one with `fit` and `predict_proba`.

    Args:
        model: The model.

    Raises:
        TypeError: If it is neither.
    """

    def __init__(self, model):
        self.model, self.is_keras = model, isinstance(model, keras.Model)
        is_estimator = hasattr(model, "fit") and hasattr(model, "predict_proba")
        if isinstance(model, type) or not (self.is_keras or is_estimator):
            raise TypeError(
                "`final` must be a keras.Model, or an object with `fit` and `predict_proba`, as "
                f"scikit-learn's classifiers are. Received: final={model!r}"
            )

    def check_takes(self, width, classes):
        """Raises if a Keras model is not built from `(B, width)` to `(B, classes)`."""
        if not self.is_keras:
            return
        check_member("final", self.model)
        spec, gives = input_spec(self.model), None
        takes = None if spec is None else keras.tree.map_structure(lambda x: tuple(x.shape), spec)
        if takes == (None, width):
            outputs = inspect_model(self.model, spec, {}).outputs
            gives = keras.tree.map_structure(lambda x: tuple(x.shape), outputs)
        if gives != (None, classes):
            raise ValueError(
                "`final` must take the members' probabilities side by side, of shape "
                f"{(None, width)}, and give {(None, classes)}. Received: final "
                f"'{self.model.name}' from {takes} to {gives or 'something'}"
            )

    def check_compiled(self):
        """Raises if a Keras model could not be fitted."""
        if self.is_keras and not self.model.compiled:
            raise ValueError(
                "The final model is fitted by its own `fit`: compile it with an optimizer and a "
                f"loss first. Received: final '{self.model.name}', not compiled"
            )

    def labels(self, labels, classes):
        """Returns labels as the model's `fit` takes them, or says what is wrong with them."""
        if self.is_keras:  # as its loss wants them
            return labels
        labels = class_numbers(labels)
        there = np.unique(labels).tolist()
        if there != list(range(classes)):
            raise ValueError(
                f"The labels must be class numbers from 0 to {classes - 1}, each of which the "
                "final model sees: of another it would know no column. Received: labels of the "
                f"classes {there}"
            )
        return labels

    def fit(self, z, labels, arguments):
        """Returns what the model's `fit` returns."""
        return self.model.fit(self._taken(z), labels, **arguments)

    def answers(self, z, classes):
        """Returns the model's answers to predictions `(B, M * C)`, float32 `(B, C)`."""
        if self.is_keras:
            answers = predict_on_batch(self.model, z)
        else:
            answers = self.model.predict_proba(self._taken(z))
        answers = np.asarray(answers, "float32")
        if answers.shape != (len(z), classes):
            raise ValueError(
                f"The final model must give {classes} numbers an example, as the members do. "
                f"Received: answers of shape {answers.shape} for {len(z)} examples"
            )
        return answers

    def digest(self, width, classes):
        """Returns bytes by which the model is known again.

        Of a Keras model its config and weights; any other is known by its answers to made-up
        predictions, since what it holds may be anything.
        """
        if self.is_keras:
            return model_digest(self.model).encode()
        drawn = np.random.default_rng(0).dirichlet(np.ones(classes), (_PROBES, width // classes))
        answers = self.answers(drawn.reshape(_PROBES, width).astype("float32"), classes)
        return answers.astype("float64").round(4).tobytes()

    def _taken(self, z):
        return z if self.is_keras else z.astype("float64")

"""A loss on the gradients of both models to their inputs."""

import types

import keras
from keras import ops

from keras_kd.features.input_gradient import input_gradient
from keras_kd.features.loss_term import LossTerm


class GradientTerm(LossTerm):
    """A loss that compares how both models' scores change with the inputs.

    The score is the teacher's top logit and the student's logit of the same class (log-probability
    where a model ends in softmax), summed over positions where outputs have them.

    Args:
        loss: A `DistillationLoss` whose `side` is `"input_gradient"`.
        student: The student.
        teacher: The teacher.
        inspect: `inspect(model) -> ModelSpec`.

    Raises:
        ValueError: If the models have several outputs, or inputs without a gradient.
    """

    def __init__(self, loss, student, teacher, inspect):
        super().__init__(loss, loss.name)
        self.tracker = keras.metrics.Mean(name=loss.name)
        if loss.layers is not None:
            raise ValueError(
                f"{type(loss).__name__} compares gradients to the inputs and reads no layers. "
                f"Received: layers={loss.layers}"
            )
        self._models = types.SimpleNamespace(student=student, teacher=teacher)
        self._is_logits = {}
        for role, model in vars(self._models).items():
            spec = inspect(model)
            if keras.tree.is_nested(spec.outputs):
                raise ValueError(
                    f"{type(loss).__name__} needs models of one output. Received: {role} "
                    f"'{model.name}' with {len(spec.is_logits)} outputs"
                )
            inputs = keras.tree.flatten(getattr(model, "input", None))
            others = [x.dtype for x in inputs if x is not None and "float" not in x.dtype]
            if others:
                raise ValueError(
                    f"{type(loss).__name__} differentiates with respect to the inputs, which must "
                    f"be floating-point numbers. Received: {role} '{model.name}' with inputs of "
                    f"{others}"
                )
            self._is_logits[role] = spec.is_logits[0]

    def distance(self, step, sample_weight):
        """Returns the loss between the gradients at a step's inputs."""
        inputs = keras.tree.map_structure(
            lambda x: ops.stop_gradient(ops.cast(x, "float32")), step.inputs
        )
        classes = ops.argmax(ops.stop_gradient(step.teacher_outputs), axis=-1)[..., None]

        def gradient(role):
            def score(outputs):
                return ops.take_along_axis(self._logits(role, outputs), classes, axis=-1)

            return _flat(input_gradient(getattr(self._models, role), inputs, score))

        theirs, ours = gradient("teacher"), gradient("student")
        return self.loss(theirs, ours, sample_weight, stages=self.stages, **step.context)

    def _logits(self, role, outputs):
        outputs = ops.cast(outputs, "float32")
        if self._is_logits[role] is not False:
            return outputs
        return ops.log(ops.maximum(outputs, 1.2e-38))  # float32's smallest normal number


def _flat(gradients):
    flat = [
        ops.reshape(gradient, (ops.shape(gradient)[0], -1))
        for gradient in keras.tree.flatten(gradients)
    ]
    return ops.concatenate(flat, axis=-1)

"""A loss on the gradients of both models to their inputs."""

import types

import keras
from keras import ops

from keras_kd.distiller.loss_term import LossTerm
from keras_kd.features.input_gradient import input_gradient
from keras_kd.features.model_spec import input_spec
from keras_kd.features.undisturbed import without_graph
from keras_kd.losses.formula.keras_mask import keras_mask
from keras_kd.losses.formula.to_rank import to_rank

_SMALLEST = 1.2e-38  # float32's smallest normal number: log of it is finite


class GradientTerm(LossTerm):
    """A loss that compares how both models' scores change with the inputs.

    The score is the teacher's top logit and the student's logit of the same class, the
    log-probability of both if one of them ends in softmax; summed over the real positions where
    outputs have positions.

    Args:
        loss: A `DistillationLoss` whose `side` is `"input_gradient"`.
        student: The student.
        teacher: The teacher.
        inspect: `inspect(model) -> ModelSpec`.

    Raises:
        ValueError: If there is no teacher, or the models have several outputs, outputs of different
            shapes, or inputs without a gradient.
    """

    def __init__(self, loss, student, teacher, inspect):
        super().__init__(loss, loss.name)
        self.tracker = keras.metrics.Mean(name=loss.name, dtype="float32")
        if loss.layers is not None:
            raise ValueError(
                f"{type(loss).__name__} compares gradients to the inputs and reads no layers. "
                f"Received: layers={loss.layers}"
            )
        if teacher is None:
            raise ValueError(
                f"{type(loss).__name__} differentiates the teacher, which must be there: make the "
                f"Distiller with it. Received: teacher=None, feature loss {loss.name!r}"
            )
        self._models = types.SimpleNamespace(student=student, teacher=teacher)
        self._is_logits, shapes = {}, {}
        for role, model in vars(self._models).items():
            spec = inspect(model)
            self._check(role, model, spec)
            self._is_logits[role] = spec.is_logits[0]
            shapes[role] = tuple(spec.outputs.shape)
        if shapes["student"][1:] != shapes["teacher"][1:]:
            raise ValueError(
                f"{type(loss).__name__} needs outputs of one shape, to find the teacher's top "
                f"class in the student. Received: teacher={shapes['teacher']}, "
                f"student={shapes['student']}"
            )

    def distance(self, both, sample_weight):
        """Returns the loss between the gradients at the inputs of a `ForwardPass`."""
        if both.inputs is None:
            raise ValueError(
                f"{type(self.loss).__name__} compares gradients at the same inputs, and the "
                "teacher has its own: give both models one preprocessor, "
                "`teacher.preprocessor = student.preprocessor`. Received: x with 'teacher_inputs'"
            )
        inputs = keras.tree.map_structure(
            lambda x: ops.stop_gradient(ops.cast(x, "float32")), both.inputs
        )
        classes = ops.argmax(ops.stop_gradient(both.teacher_outputs), axis=-1)[..., None]

        def gradient(role):
            def score(outputs):
                scores = self._scores(role, ops.cast(outputs, "float32"))
                scores = ops.take_along_axis(scores, classes, axis=-1)
                mask = keras_mask(outputs)
                if mask is None:
                    return scores
                return scores * to_rank(ops.cast(mask, scores.dtype), len(scores.shape))

            return _flat(input_gradient(getattr(self._models, role), inputs, score))

        with without_graph():
            theirs = gradient("teacher")
        return self.loss(
            theirs, gradient("student"), sample_weight, stages=self.stages, **both.context
        )

    def _check(self, role, model, spec):
        if keras.tree.is_nested(spec.outputs):
            raise ValueError(
                f"{type(self.loss).__name__} needs models of one output. Received: {role} "
                f"'{model.name}' with {len(spec.is_logits)} outputs"
            )
        inputs = keras.tree.flatten(input_spec(model))
        others = [x.dtype for x in inputs if x is not None and "float" not in x.dtype]
        if others:
            raise ValueError(
                f"{type(self.loss).__name__} differentiates with respect to the inputs, which must "
                f"be floating-point numbers. Received: {role} '{model.name}' with inputs of "
                f"{others}"
            )

    def _scores(self, role, outputs):
        """What both models' outputs are brought to: logits, or log-probabilities."""
        is_logits = self._is_logits[role] is not False
        if outputs.shape[-1] == 1:  # a real value, or the chance of yes
            return outputs if is_logits else _log(outputs) - _log(1.0 - outputs)
        if not is_logits:
            return _log(outputs)
        return ops.log_softmax(outputs) if False in self._is_logits.values() else outputs


def _log(probabilities):
    return ops.log(ops.maximum(probabilities, _SMALLEST))


def _flat(gradients):
    flat = [
        ops.reshape(gradient, (ops.shape(gradient)[0], -1))
        for gradient in keras.tree.flatten(gradients)
    ]
    return ops.concatenate(flat, axis=-1)

"""A loss on one output, wired to that output of both models."""

import keras
from keras import ops

from keras_kd.distiller.argument_checks import check_batch_size
from keras_kd.distiller.loss_term import LossTerm
from keras_kd.features.layer_tree import nearest
from keras_kd.features.model_spec import symbolic_call
from keras_kd.features.output_kind import LOGITS, PROBABILITIES, is_logits
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.response_loss import ResponseLoss

# Activations whose probabilities losses recover logits from, with a loss that does.
_READERS = {"softmax": "KDLoss", "sigmoid": "BinaryKDLoss"}


class OutputTerm(LossTerm):
    """A loss on one output of the student and the same output of the teacher.

    Args:
        loss: A `DistillationLoss` without `layers`.
        name: The term's name, for `LossWeightScheduler`.
        student_path: Keys and indices that lead to the student's output, if it has several.
        teacher_path: Those that lead to the teacher's.
        index: The output's position among the student's outputs, flattened.
        output_names: The student's, in that order, where they are known.
    """

    def __init__(self, loss, name, student_path, teacher_path, *, index, output_names):
        super().__init__(loss, name)
        self.student_path = tuple(student_path)
        self.teacher_path = tuple(teacher_path)
        self._index, self._output_names = index, list(output_names)
        self._kinds, self._class_axis = {}, -1
        self.part = self.classes = None

    def check(self, student_output, teacher_output, student_found, teacher_found):
        """Checks that the loss can compare the two outputs, and learns what kind they are.

        Args:
            student_output: `KerasTensor` of the student's output.
            teacher_output: `KerasTensor` of the teacher's output.
            student_found: What `output_kind` found of it: its kind and class axis.
            teacher_found: Likewise.
        """
        if isinstance(self.loss, ResponseLoss):
            self._kinds = {
                "student_from_logits": self._from_logits("student", student_found[0]),
                "teacher_from_logits": self._from_logits("teacher", teacher_found[0]),
            }
            self._class_axis = self._axis_of_classes(student_found, teacher_found)
            classes = student_output.shape[self._class_axis]
            if self.loss.activation == "softmax" and classes == 1:
                raise ValueError(
                    f"A softmax over one class is always 1, so {type(self.loss).__name__} teaches "
                    "nothing: use BinaryKDLoss for a yes-or-no output, RegressionLoss for a real "
                    f"value. Received: output shape={tuple(student_output.shape)}"
                )
        if tuple(student_output.shape) != tuple(teacher_output.shape):
            raise ValueError(
                f"Teacher and student must give outputs of one shape ({self.name}). Received: "
                f"teacher={tuple(teacher_output.shape)}, student={tuple(student_output.shape)}"
            )
        shapes = [_moved(x.shape, self._class_axis) for x in (teacher_output, student_output)]
        self.part = self.loss.make_part(*shapes)
        self.classes = shapes[1][-1]
        batch = student_output.shape[0]
        check_batch_size([self.loss], batch)
        if "labels" not in self.loss.asks:
            symbolic_call(
                lambda values: self._call(*values[:2], None, index=values[2], training=False),
                [teacher_output, student_output, keras.KerasTensor((batch,), "int32")],
            )

    def part_of(self, structure):
        """Returns this output's part of the labels or weights, or None if they have none.

        As in Keras, they need not have the structure of the outputs: names and positions will do,
        and a single array belongs to all outputs.
        """
        if not keras.tree.is_nested(structure):
            return structure
        parts = dict(keras.tree.flatten_with_path(structure))
        complete = len(parts) == len(self._output_names)
        if self.student_path in parts and (complete or isinstance(structure, dict)):
            return parts[self.student_path]
        if (self._output_names[self._index],) in parts:
            return parts[(self._output_names[self._index],)]
        return list(parts.values())[self._index] if complete else None

    def distance(self, student_output, teacher_output, sample_weight, **context):
        """Returns the loss between the two outputs."""
        return self._call(teacher_output, student_output, sample_weight, **context)

    def logits(self, student_output, teacher_output):
        """Returns both outputs as float32 logits `(..., C)`, whatever the models end in.

        Args:
            student_output: The student's output at the term's place.
            teacher_output: The teacher's, or what data carry of it.
        """
        teacher_output, student_output = self._with_classes_last(teacher_output, student_output)
        loss = ResponseLoss(name=self.name)
        return loss.prepare(teacher_output, student_output, dict(self._kinds))[::-1]

    def _with_classes_last(self, *outputs):
        if self._class_axis == -1:
            return outputs
        return keras.tree.map_structure(lambda x: _with_classes_last(x, self._class_axis), outputs)

    def _call(self, teacher_output, student_output, sample_weight, **context):
        teacher_output, student_output = self._with_classes_last(teacher_output, student_output)
        own = {"part": self.part, "stages": self.stages, **self._kinds}
        return self.loss(teacher_output, student_output, sample_weight, **context, **own)

    def _axis_of_classes(self, *found):
        """Returns where both outputs have their classes, counted from the end."""
        axes = {axis for kind, axis in found if kind == "softmax"}
        if len(axes) > 1:
            raise ValueError(
                f"Teacher and student end in a softmax over different axes ({self.name}): put a "
                "keras.layers.Permute behind one of them. Received: axes, from the end, "
                f"{sorted(axes)}"
            )
        return axes.pop() if axes else -1

    def _from_logits(self, role, kind):
        declared, found = getattr(self.loss, f"{role}_from_logits"), is_logits(kind)
        loss, names = type(self.loss).__name__, {True: "logits", False: "probabilities"}
        if declared is None and found is None:
            raise ValueError(
                f"It cannot be known whether the {role} returns logits or probabilities: say "
                f"{loss}({role}_from_logits=True) or False, of an output whose classes are its "
                "last axis (a keras.layers.Permute brings them there). "
                f"Received: {role}_from_logits=None"
            )
        if declared is not None and found is not None and declared != found:
            raise ValueError(
                f"The {role} is declared to return {names[declared]}, but its last layer gives "
                f"{names[found]}. Received: {role}_from_logits={declared}"
            )
        if kind in _READERS and kind != self.loss.activation:
            raise ValueError(
                f"{loss} reads what one {self.loss.activation} gives ({self.name}), but the {role} "
                f"ends in {kind}: take a loss for that, such as {_READERS[kind]}, or models that "
                f"return logits. Received: {role} output of {kind}"
            )
        return found if declared is None else declared


def output_terms(kd_loss, student, student_spec, teacher, teacher_spec) -> list:
    """Returns a checked `OutputTerm` for every output that `kd_loss` names.

    Args:
        kd_loss: A loss for every output, a dict or list that follows the outputs, or None.
        student: The student.
        student_spec: Its `ModelSpec`.
        teacher: The teacher, or None if its outputs travel with the data.
        teacher_spec: Its `ModelSpec`, or None.

    Raises:
        TypeError, ValueError: If `kd_loss` does not fit the outputs, or the outputs each other.
    """
    paths = _paths(student_spec.outputs)
    output_names = getattr(student, "output_names", None)
    losses = _losses_by_path(kd_loss, paths, output_names)
    theirs = None if teacher_spec is None else _paths(teacher_spec.outputs)
    is_said = isinstance(kd_loss, dict | list | tuple)  # which of the student's outputs learn
    if len(output_names or []) != len(paths):
        output_names = [None] * len(paths)
    terms = []
    for index, (path, loss) in enumerate(zip(paths, losses, strict=True)):
        if loss is None:
            continue
        place = {"index": index, "output_names": output_names}
        name = "_".join([*(str(key) for key in path), "kd_loss"])
        if theirs is None:
            theirs_is = path if loss.teacher_output is None else (loss.teacher_output,)
            term = OutputTerm(loss, name, path, theirs_is, **place)
            # What travels with the data is logits, unless it or the loss says otherwise.
            logits = getattr(loss, "teacher_from_logits", None) is not False
            kind = LOGITS if logits else PROBABILITIES
            term.check(paths[path], paths[path], _found(student_spec, index), (kind, -1))
        else:
            teacher_path = _teacher_path(loss, path, paths, theirs, teacher, is_said=is_said)
            term = OutputTerm(loss, name, path, teacher_path, **place)
            term.check(
                paths[path],
                theirs[teacher_path],
                _found(student_spec, index),
                _found(teacher_spec, list(theirs).index(teacher_path)),
            )
        terms.append(term)
    return terms


def _teacher_path(loss, path, paths, theirs, teacher, *, is_said):
    """Returns the path to the teacher's output that teaches the student's at `path`."""
    wanted = loss.teacher_output
    if wanted is not None:
        names = getattr(teacher, "output_names", None) or []
        by_name = dict(zip(names, theirs, strict=True)) if len(names) == len(theirs) else {}
        by_name |= {each[-1]: each for each in theirs if each}
        if isinstance(wanted, int) and 0 <= wanted < len(theirs):
            by_name.setdefault(wanted, list(theirs)[wanted])
        if wanted not in by_name:
            raise ValueError(
                f"The teacher has no output {wanted!r}.{nearest(wanted, by_name)} Received: "
                f"teacher_output={wanted!r}. Available: {_names(theirs)}"
            )
        return by_name[wanted]
    only = len(theirs) == 1 and (len(paths) == 1 or is_said)
    found = next(iter(theirs)) if only else path
    if found not in theirs:
        example = next((each[-1] for each in theirs if each), 0)
        raise ValueError(
            "The teacher has no output that corresponds to the student's: say which of the "
            "student's outputs learn and from which of the teacher's, such as "
            f"kd_loss={_advice(paths, theirs, type(loss).__name__, example)}. Received: student "
            f"outputs={_names(paths)}, teacher outputs={_names(theirs)}"
        )
    return found


def _advice(paths, theirs, loss, example):
    """Returns a `kd_loss` that would do, as it is written."""
    made = f"{loss}(teacher_output={example!r})" if len(theirs) > 1 else f"{loss}()"
    key = next((path[-1] for path in paths if path), None)
    if key is None:
        return made
    return f"{{{key!r}: {made}}}" if isinstance(key, str) else f"[{made}, None]"


def _losses_by_path(kd_loss, paths, output_names):
    if kd_loss is None or isinstance(kd_loss, DistillationLoss):
        losses = [kd_loss] * len(paths)
    elif isinstance(kd_loss, dict):
        names = {path[-1] if path else None: i for i, path in enumerate(paths)}
        if output_names and not set(kd_loss) <= set(names):
            names = {name: i for i, name in enumerate(output_names)}
        for key in kd_loss:
            if key not in names:
                raise ValueError(
                    "`kd_loss` names an output that the student does not have. "
                    f"Received: {key!r}.{nearest(key, names)} Available: {list(names)}"
                )
        losses = [kd_loss.get(name) for name in names]
    elif isinstance(kd_loss, list | tuple) and len(kd_loss) == len(paths):
        losses = list(kd_loss)
    else:
        raise TypeError(
            "`kd_loss` must be a keras_kd.losses.DistillationLoss, None, or a dict or list of them "
            f"that follows the {len(paths)} outputs of the student. Received: kd_loss={kd_loss!r}"
        )
    for loss in losses:
        if loss is not None and not isinstance(loss, DistillationLoss):
            raise TypeError(
                "`kd_loss` must hold keras_kd.losses.DistillationLoss objects or None. "
                f"Received: {loss!r}"
            )
        if loss is None:
            continue
        if loss.layers is not None:
            raise ValueError(
                "A loss with `layers` looks inside the models: pass it in `feature_losses`. "
                f"Received: kd_loss={type(loss).__name__}(layers=...)"
            )
        if loss.joint or loss.side != "output":
            raise ValueError(
                f"{type(loss).__name__} does not compare outputs: pass it in `feature_losses`. "
                f"Received: kd_loss={type(loss).__name__}()"
            )
    return losses


def _found(spec, index):
    return spec.kinds[index], spec.class_axes[index]


def _with_classes_last(value, axis):
    """Moves an axis to the end; what Keras' softmax keeps of its logits, too."""
    moved = ops.moveaxis(value, axis, -1)
    logits = getattr(value, "_keras_logits", None)
    if logits is not None:
        moved._keras_logits = ops.moveaxis(logits, axis, -1)
    return moved


def _moved(shape, axis):
    sizes = list(shape)
    classes = sizes.pop(axis)
    return (*sizes, classes)


def _paths(outputs):
    return dict(keras.tree.flatten_with_path(outputs))


def _names(paths):
    return ["/".join(str(key) for key in path) or "one output" for path in paths]


def follow(path, structure):
    """Returns the part of `structure` that `path` leads to; a single tensor belongs to all."""
    for key in path:
        if not keras.tree.is_nested(structure):
            break
        try:
            structure = structure[key]
        except (IndexError, KeyError, TypeError) as error:
            available = list(structure) if isinstance(structure, dict) else len(structure)
            raise ValueError(
                f"The teacher's outputs have no part {key!r}. Received: outputs of {available}"
            ) from error
    return structure


def one_weight(sample_weight):
    """Returns one weight a sample where every output has its own: their mean."""
    leaves = [leaf for leaf in keras.tree.flatten(sample_weight) if leaf is not None]
    if len(leaves) < 2:
        return leaves[0] if leaves else None
    leaves = [ops.cast(leaf, "float32") for leaf in leaves]
    return sum(ops.mean(ops.reshape(leaf, (ops.shape(leaf)[0], -1)), -1) for leaf in leaves) / len(
        leaves
    )

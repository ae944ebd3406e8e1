"""A feature loss, wired to the layers it compares."""

import types

import keras

from keras_kd.distiller.argument_checks import check_batch_size
from keras_kd.distiller.loss_term import LossTerm
from keras_kd.features.attention import find_attention
from keras_kd.features.layer_tree import find_layer
from keras_kd.features.model_spec import symbolic_call
from keras_kd.features.projector import make_projector
from keras_kd.features.recording import watch
from keras_kd.features.tap import ATTENTION_SIDES, Tap
from keras_kd.losses.formula.keras_mask import both_real


class FeatureTerm(LossTerm):
    """A feature loss with its taps, projectors, own parts and the mean of its distance.

    Args:
        loss: A `DistillationLoss` with `layers`.
        student: The student.
        teacher: The teacher, or None where its values travel with the data: then each of its taps
            has a shape.
        inspect: `inspect(model, {tap: layer}) -> ModelSpec`.
    """

    def __init__(self, loss, student, teacher, inspect):
        super().__init__(loss, loss.name)
        self.tracker = keras.metrics.Mean(name=loss.name, dtype="float32")
        pairs = [
            (Tap.of(ours, loss.side), Tap.of(theirs, loss.side))
            for ours, theirs in loss.layers.items()
        ]
        student_layers = {tap: _find(student, tap, "student") for tap, _ in pairs}
        ours = inspect(student, student_layers).taps
        if teacher is None:
            teacher_layers = {tap: tap for _, tap in pairs}
            theirs = {other: _carried(other, ours[mine]) for mine, other in pairs}
        else:
            teacher_layers = {tap: _find(teacher, tap, "teacher") for _, tap in pairs}
            theirs = inspect(teacher, teacher_layers).taps
        self.projectors = []
        self._wiring = types.SimpleNamespace(pairs=[])  # where Keras does not look for layers
        for number, (mine, other) in enumerate(pairs):
            projector = None
            if mine.side not in ATTENTION_SIDES and other.side not in ATTENTION_SIDES:
                projector = make_projector(
                    ours[mine].shape,
                    theirs[other].shape,
                    loss.match,
                    _where(loss, mine, other),
                    f"{loss.name}_projector_{number}",
                )
            if projector is not None:
                self.projectors.append(projector)
            self._wiring.pairs.append(
                (student_layers[mine], mine, teacher_layers[other], other, projector)
            )
        self._wiring.parts = self._make_parts(ours, theirs)
        self.parts = [part for part in self._wiring.parts if part is not None]
        self._rehearse(ours, theirs)
        for ours_layer, mine, theirs_layer, other, _ in self._wiring.pairs:
            watch(ours_layer, mine.side)
            if teacher is not None:
                watch(theirs_layer, other.side)

    def distance(self, both, sample_weight):
        """Returns the loss between what a `ForwardPass` of both models saw."""
        teacher_values, student_values, masks = [], [], []
        training = both.context["training"]
        for ours_layer, ours, theirs_layer, theirs, projector in self._wiring.pairs:
            value = both.student.value(ours_layer, ours)
            masks.append(
                both_real(
                    both.student.mask(ours_layer, ours), both.teacher.mask(theirs_layer, theirs)
                )
            )
            student_values.append(
                value if projector is None else projector(value, training=training)
            )
            teacher_values.append(both.teacher.value(theirs_layer, theirs))
        return self._call(teacher_values, student_values, sample_weight, masks, both.context)

    def _call(self, teacher_values, student_values, sample_weight, masks, context):
        parts = self._wiring.parts
        if self.loss.joint:
            (parts,) = parts
        return self.loss(
            teacher_values,
            student_values,
            sample_weight,
            mask=masks,
            part=parts,
            stages=self.stages,
            **context,
        )

    def _make_parts(self, ours, theirs):
        """Returns the loss' own layers or None: one for a joint formula, else one for each pair."""
        student_shapes, teacher_shapes, layers = [], [], []
        for _, mine, teacher_layer, other, projector in self._wiring.pairs:
            shapes = [
                keras.tree.map_structure(lambda x: tuple(x.shape), value)
                for value in (ours[mine], theirs[other])
            ]
            if projector is not None:
                shapes[0] = tuple(projector.compute_output_shape(shapes[0]))
            student_shapes.append(shapes[0])
            teacher_shapes.append(shapes[1])
            layers.append(teacher_layer)
        try:
            if self.loss.joint:
                made = [self.loss.make_part(teacher_shapes, student_shapes, layers)]
            else:
                made = [
                    self.loss.make_part(*each)
                    for each in zip(teacher_shapes, student_shapes, layers, strict=True)
                ]
        except ValueError as error:
            where = "; ".join(_where(self.loss, ours, theirs) for ours, theirs in self._taps())
            raise ValueError(f"The loss cannot compare {where}. {error}") from error
        return made

    def _taps(self):
        return [(mine, other) for _, mine, _, other, _ in self._wiring.pairs]

    def _rehearse(self, ours, theirs):
        """Runs the formula on symbols, so that what cannot be compared fails now."""
        taps = self._taps()
        values = [[ours[mine] for mine, _ in taps], [theirs[other] for _, other in taps]]
        batch = _batch(ours)
        check_batch_size([self.loss], batch)
        if "labels" in self.loss.asks:
            return

        def run(symbols):
            student_values, teacher_values, index = symbols
            student_values = [
                value if pair[-1] is None else pair[-1](value, training=False)
                for value, pair in zip(student_values, self._wiring.pairs, strict=True)
            ]
            context = {"training": False, "index": index}
            return self._call(teacher_values, student_values, None, None, context)

        try:
            symbolic_call(run, [*values, keras.KerasTensor((batch,), "int32")])
        except ValueError as error:
            which = "; ".join(
                f"{_where(self.loss, mine, other)}: student={_shape(ours[mine])}, "
                f"teacher={_shape(theirs[other])}"
                for mine, other in taps
            )
            raise ValueError(f"The loss cannot compare {which}. {error}") from error


def _batch(values):
    """The number of samples where a model fixes it, else None."""
    return keras.tree.flatten(list(values.values()))[0].shape[0]


def _carried(tap, ours):
    """Returns what stands for a teacher's value that travels with the data.

    A sequence whose length the student leaves open may have any: it is known when there are data.
    """
    shapes = tap.shape if isinstance(tap.shape, dict) else {None: tap.shape}
    leaves = keras.tree.flatten(ours)
    open_length = len(leaves[0].shape) == 3 and leaves[0].shape[1] is None
    symbols = {}
    for name, (_, *sizes) in shapes.items():
        if open_length and len(sizes) == 2:
            sizes[0] = None
        symbols[name] = keras.KerasTensor((leaves[0].shape[0], *sizes), "float32")
    return symbols if isinstance(tap.shape, dict) else symbols[None]


def _find(model, tap, role):
    layer = find_layer(model, tap.layer, role)
    return find_attention(model, layer, tap, role) if tap.side in ATTENTION_SIDES else layer


def _where(loss, ours, theirs):
    return (
        f"student {ours.side} of '{ours.layer}' and teacher {theirs.side} of "
        f"'{theirs.layer}' ({loss.name})"
    )


def _shape(value):
    return keras.tree.map_structure(lambda x: tuple(x.shape), value)

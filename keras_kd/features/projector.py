"""Trainable adapters between a student's and a teacher's shapes."""

import keras


def make_projector(student_shape, teacher_shape, match, where: str, name: str):
    """Returns a layer that brings the student's value to what a loss needs, if one is needed.

    Maps `(B, H, W, C)` get resizing where resolutions differ (averaging over whole blocks where
    the ratio is a whole number, else bilinear) and, for `match="shape"`, a 1x1 convolution with
    BatchNormalization where widths differ; sequences `(B, L, C)` and vectors `(B, C)` a Dense
    layer. It computes in float32 and belongs to the Distiller, never to the student.

    Args:
        student_shape: Shape of the student's value, batch first.
        teacher_shape: Shape of the teacher's value, batch first.
        match: None, `"resolution"` or `"shape"`, what the loss needs to agree.
        where: Names the two layers, for messages.
        name: The projector's name.

    Returns:
        A built `keras.Sequential`, or None where nothing differs.

    Raises:
        ValueError: If the two shapes cannot be brought together.
    """
    student_shape, teacher_shape = tuple(student_shape), tuple(teacher_shape)
    if match is None:
        return None
    if len(student_shape) != len(teacher_shape):
        raise _mismatch("Values of one rank were expected.", student_shape, teacher_shape, where)
    layers = _resizing(student_shape, teacher_shape, where)
    if match == "shape" and student_shape[-1] != teacher_shape[-1]:
        width = teacher_shape[-1]
        if len(student_shape) == 4:
            layers += [
                keras.layers.Conv2D(
                    width,
                    1,
                    use_bias=False,
                    data_format="channels_last",
                    dtype="float32",
                    name="conv",
                ),
                keras.layers.BatchNormalization(dtype="float32", name="batch_norm"),
            ]
        else:
            layers.append(keras.layers.Dense(width, dtype="float32", name="dense"))
    if not layers:
        return None
    projector = keras.Sequential(layers, name=name)
    projector.build((None, *student_shape[1:]))
    return projector


def _resizing(student_shape, teacher_shape, where):
    ours, theirs = student_shape[1:-1], teacher_shape[1:-1]
    if ours == theirs or not ours:
        return []
    if len(ours) != 2:
        raise _mismatch(
            "Sequences of one length were expected.", student_shape, teacher_shape, where
        )
    if None in ours or None in theirs:
        raise _mismatch("Resizing needs known sizes.", student_shape, teacher_shape, where)
    ratios = [a // b for a, b in zip(ours, theirs, strict=True)]
    whole = all(a == b * r for a, b, r in zip(ours, theirs, ratios, strict=True))
    if whole:
        return [
            keras.layers.AveragePooling2D(
                tuple(ratios), data_format="channels_last", dtype="float32", name="resize"
            )
        ]
    return [
        keras.layers.Resizing(*theirs, data_format="channels_last", dtype="float32", name="resize")
    ]


def _mismatch(problem, student_shape, teacher_shape, where):
    return ValueError(
        f"{problem} No projector fits between {where}. "
        f"Received: student={student_shape}, teacher={teacher_shape}"
    )

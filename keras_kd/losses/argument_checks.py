"""Checks of what a loss is made of and of what it is given."""

import keras

from keras_kd.losses.formula.top_k import is_one_value, refuse_top_k


def check_layers(layers):
    """Returns `layers` as a dict of its own, or None."""
    if layers is None:
        return None
    if not isinstance(layers, dict) or not layers:
        raise ValueError(
            "`layers` must be a dict {student_layer: teacher_layer} with at least one pair. "
            f"Received: layers={layers!r}"
        )
    names = [name for pair in layers.items() for name in pair]
    wrong = [name for name in names if not isinstance(name, str) and not hasattr(name, "layer")]
    if wrong:
        raise TypeError(
            "`layers` must name layers, by names, paths or keras_kd.features.Tap. "
            f"Received: layers={layers!r}, where {wrong[0]!r} is neither"
        )
    return dict(layers)


def check_output(output, layers):
    """Returns an output's name or position, or None, where the loss can have one."""
    is_place = isinstance(output, int | str) and not isinstance(output, bool)
    if output is not None and not is_place:
        raise TypeError(
            "`teacher_output` must be an output's name or position, or None. "
            f"Received: teacher_output={output!r}"
        )
    if output is not None and layers is not None:
        raise ValueError(
            "`teacher_output` is for a loss on outputs; `layers` say what a feature loss reads. "
            f"Received: teacher_output={output!r}, layers={layers}"
        )
    return output


def check_given(loss, teacher_value, student_value):
    """Raises if the two are not tensors, or structures of tensors, that could be compared."""
    refuse_top_k(loss.name, "student", student_value)
    name, nested = loss.name, [keras.tree.is_nested(x) for x in (teacher_value, student_value)]
    # Probabilities and top-k labels are one value, and say in a dict what they are.
    one = isinstance(teacher_value, dict) and hasattr(loss, "reads_top_k")
    pairs = isinstance(student_value, list | tuple)  # which say what is wrong with theirs
    alike = (
        pairs or nested[0] == nested[1] or ((one or is_one_value(teacher_value)) and not nested[1])
    )
    leaves = keras.tree.flatten([teacher_value, student_value])
    if not alike or None in [each if each is None else 0 for each in leaves]:
        raise ValueError(
            f"{name} compares two tensors, or lists of them of one length: take the outputs that "
            "are to be compared out of a model's dict or list. Received: teacher="
            f"{_shown(teacher_value)}, student={_shown(student_value)}"
        )
    for leaf in leaves:
        if isinstance(leaf, str | bytes):
            raise TypeError(f"{name} compares numbers. Received: {leaf!r}")
        if not hasattr(leaf, "shape") and not hasattr(leaf, "__array__"):
            raise TypeError(
                f"{name} compares tensors, and a list is one of several tensors: make an array of "
                f"it, np.array(...). Received: {leaf!r} in teacher="
                f"{_shown(teacher_value)}, student={_shown(student_value)}"
            )


def _shown(value):
    if isinstance(value, dict):
        return f"dict of {sorted(map(str, value))}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} of shape {getattr(value, 'shape', None)}"


def check_mean_over(mean_over):
    """Returns what a mean is taken over, or None for the formula's own."""
    if mean_over not in (None, "samples", "tokens"):
        raise ValueError(
            f"`mean_over` must be 'tokens', 'samples' or None. Received: mean_over={mean_over!r}"
        )
    return mean_over

"""What travels in `x` beside the models' inputs."""

import keras

from keras_kd.distiller.argument_checks import NO_BATCH
from keras_kd.distiller.carried_features import CarriedFeatures

_BESIDE_INPUTS = {"inputs", "index"}
_OF_A_TEACHER = {"teacher_outputs", "teacher_features", "teacher_masks"}  # in place of one
_FOR_A_TEACHER = {"teacher_inputs"}


def unpack(x, input_names, has_teacher):
    """Returns the models' inputs and what else travels in `x`, by name.

    Args:
        x: What a step, or a data set's specification, has as `x`.
        input_names: Names of the models' own inputs, which are no parcel.
        has_teacher: Whether a teacher runs, so that the data stand for none.
    """
    if x is None:  # on PyTorch, where data end before Keras has built the model
        raise ValueError(NO_BATCH)
    allowed = _BESIDE_INPUTS | (_FOR_A_TEACHER if has_teacher else _OF_A_TEACHER)
    carries = isinstance(x, dict) and "inputs" in x and set(x) <= allowed
    return x if carries and not set(x) <= input_names else {"inputs": x}


def features_in(data, input_names):
    """Returns what data for `fit` carry of a teacher's layers, without using any of them up.

    Args:
        data: `x` of `fit`: a `tf.data.Dataset`, a `keras.utils.PyDataset`, or arrays.
        input_names: Names of the models' own inputs.

    Returns:
        `CarriedFeatures` of `KerasTensor`s, or None if such data cannot be looked at.

    Raises:
        ValueError: If there is no batch to look at.
    """
    x = batch_in(data)
    if x is None:
        return None
    values = unpack(x, input_names, has_teacher=False).get("teacher_features", {})
    shapes = [_shape(leaf) for leaf in keras.tree.flatten(values)]
    if None in shapes:
        return None
    symbols = [keras.KerasTensor((None, *shape[1:]), "float32") for shape in shapes]
    return CarriedFeatures(keras.tree.pack_sequence_as(values, symbols))


def batch_in(data):
    """Returns `x` as a batch of the data has it, or what tells its shapes.

    Args:
        data: As for `features_in`, none of which is used up.

    Returns:
        Arrays or specifications in the structure of `x`, or None if the data cannot be looked at.

    Raises:
        ValueError: If there is no batch to look at.
    """
    if hasattr(data, "element_spec"):  # of a tf.data.Dataset
        return _x_of(data.element_spec)
    if isinstance(data, keras.utils.PyDataset):
        if data.num_batches == 0:
            raise ValueError(NO_BATCH)
        return _x_of(data[0])
    return data if isinstance(data, dict) or hasattr(data, "shape") else None


def _x_of(element):
    return element[0] if isinstance(element, list | tuple) else element


def _shape(leaf):
    """Returns sizes, or None if they cannot be known, as of values spread over replicas."""
    try:
        return tuple(leaf.shape)
    except (AttributeError, ValueError):  # TensorFlow: a shape of unknown rank
        return None

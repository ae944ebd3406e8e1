"""The same net with weights of its own."""

import keras

from keras_kd.features.layer_tree import layer_paths
from keras_kd.features.nested_config import uncompiled_config


def with_new_weights(model: keras.Model) -> keras.Model:
    """Returns a copy of a model that has never been trained.

    What training does not make stays as it is: frozen layers, and layers that `adapt` to data. The
    rest is drawn as its initializers say, from Keras' global seed where they have none of their
    own.

    Args:
        model: A built model. It is not changed.

    Raises:
        ValueError: If the model cannot be made again from its config.
    """
    try:
        new = keras.saving.deserialize_keras_object(uncompiled_config(model))
        unbuilt = not new.built
    except Exception as error:  # whatever a class without `get_config` raises
        raise ValueError(_cannot(model, error)) from error
    if unbuilt or [v.shape for v in new.variables] != [v.shape for v in model.variables]:
        raise ValueError(_cannot(model, "its copy has other weights"))
    copies = layer_paths(new)
    for path, layer in layer_paths(model).items():
        if _is_kept(layer):
            copies[path].set_weights(layer.get_weights())
            if hasattr(copies[path], "finalize_state"):  # statistics that `adapt` has found
                copies[path].finalize_state()
    return new


def is_trained(model: keras.Model) -> bool:
    """Returns whether weights are others than a new net has: biases that are not 0, for one."""
    one, other = with_new_weights(model), with_new_weights(model)
    for old, first, second in zip(model.variables, one.variables, other.variables, strict=True):
        values = [keras.ops.convert_to_numpy(each) for each in (old, first, second)]
        is_constant = "float" in str(old.dtype) and (values[1] == values[2]).all()
        if is_constant and (values[0] != values[1]).any():
            return True
    return False


def _is_kept(layer):
    if not layer.weights or isinstance(layer, keras.Model):
        return False
    return not layer.trainable or hasattr(layer, "adapt")


def _cannot(model, reason):
    return (
        "The student cannot be made anew for each seed; --keep-weights starts every seed from the "
        f"file's weights. Received: '{model.name}' of type {type(model).__name__} ({reason})"
    )

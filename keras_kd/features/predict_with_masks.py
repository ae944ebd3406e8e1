"""A model's answers to a batch, with what Keras masks of them."""

import keras
from keras import ops

from keras_kd.features.predict_on_batch import predict_on_batch
from keras_kd.features.preprocessing import preprocessed
from keras_kd.features.undisturbed import without_graph
from keras_kd.losses.formula.keras_mask import keras_mask


def predict_with_masks(model, x, has_masks: bool, may_be_raw: bool = True):
    """Returns a model's answers to a batch, raw or preprocessed, as arrays, and their masks.

    Args:
        model: A built Keras model.
        x: A batch of its inputs.
        has_masks: What `ModelSpec` says of it.
        may_be_raw: As in `predict_on_batch`.

    Returns:
        The outputs, and their masks in the same structure: arrays, or None where there is none;
        one None where nothing is masked.
    """
    if not has_masks:
        return predict_on_batch(model, x, may_be_raw), None
    # `predict` drops what is kept beside a tensor.
    x = preprocessed(model, x) if may_be_raw else x
    tensors = keras.tree.map_structure(ops.convert_to_tensor, x)
    with without_graph():
        found = model(tensors, training=False)
        masks = keras.tree.map_structure(keras_mask, found)
    return tuple(keras.tree.map_structure(_as_array, each) for each in (found, masks))


def _as_array(leaf):
    return None if leaf is None else ops.convert_to_numpy(leaf)

"""Keras' `predict_on_batch` as loops over models and batches need it."""

import contextlib
import logging

import keras

from keras_kd.features.preprocessing import preprocessed


def predict_on_batch(model, x, may_be_raw: bool = True):
    """Returns a model's answers to a batch, raw or preprocessed, one row an example.

    TensorFlow's advice on functions that are traced again, which many models and a last batch of
    another size bring up, is not for the caller of such a loop: it is not printed.

    Args:
        model: A built Keras model.
        x: A batch of its inputs.
        may_be_raw: Whether a batch may still have to go through the model's preprocessor, if it
            has one.
    """
    with _without_advice_on_retracing():
        if hasattr(model, "preprocess_samples"):  # its own would preprocess once more
            x = preprocessed(model, x) if may_be_raw else x
            found = keras.Model.predict_on_batch(model, x)
        else:
            found = model.predict_on_batch(x)
    strategy = getattr(model, "distribute_strategy", None)
    if getattr(strategy, "num_replicas_in_sync", 1) > 1:  # Keras gives each the whole batch
        rows = len(keras.tree.flatten(x)[0])
        found = keras.tree.map_structure(lambda leaf: leaf[:rows], found)
    return found


@contextlib.contextmanager
def _without_advice_on_retracing():
    logger = logging.getLogger("tensorflow")
    logger.addFilter(_is_other_advice)
    try:
        yield
    finally:
        logger.removeFilter(_is_other_advice)


def _is_other_advice(record):
    return "triggered tf.function retracing" not in record.getMessage()

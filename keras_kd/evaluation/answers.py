"""What a model or an exported file says of a batch."""

import re

import keras
import numpy as np

from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.predict_on_batch import predict_on_batch
from keras_kd.runtimes import ExportedFile


def answers(name: str, model: keras.Model | ExportedFile, x):
    """Returns the answers to a batch, of the inputs that are the model's own.

    Args:
        name: The model's name, for messages.
        model: What answers.
        x: A batch of inputs as the data have it.

    Returns:
        An array, or a structure of arrays where there are several outputs.

    Raises:
        ValueError: If a file does not take this batch.
    """
    if not isinstance(model, ExportedFile):
        return predict_on_batch(model, own_inputs(x, model))
    problem = f"The file of model {name!r}, {str(model.path)!r}, cannot answer these data"
    try:
        return model(file_inputs(x))
    except Exception as error:  # each runtime has exceptions of its own
        raise ValueError(f"{problem}: {str(error)[:1000]}") from error


def file_inputs(x):
    """Returns a batch's inputs as exported files take them.

    Names of inputs become what `export_student` makes of them, since signatures hold letters,
    digits and underscores only; one array in a list is that array.
    """
    if isinstance(x, dict):
        return {re.sub(r"\W", "_", str(name)): values for name, values in x.items()}
    leaves = keras.tree.flatten(x)
    return leaves[0] if len(leaves) == 1 else x


def first_examples(x, count: int):
    """Returns a batch of so many examples, the first again where there are fewer."""
    return keras.tree.map_structure(
        lambda leaf: np.take(leaf, np.arange(count) % len(leaf), axis=0), x
    )

"""Values that can be read before a compiled step runs."""

import keras
import numpy as np
from keras import ops


def known_now(values):
    """The values as NumPy, or None where they are not known before the step runs."""
    if keras.backend.backend() == "tensorflow" and not hasattr(values, "numpy"):
        return None
    try:
        return np.asarray(ops.convert_to_numpy(values))
    except (NotImplementedError, TypeError, ValueError):
        return None

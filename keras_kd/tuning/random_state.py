"""Randomness that follows from a seed, and leaves the user's own as it was."""

import contextlib
import random

import keras
import numpy as np


@contextlib.contextmanager
def seeded(seed):
    """Sets all seeds; afterwards Python's and NumPy's go on from where they were.

    The generators of Keras and of its backend have no public state that could be put back: they
    stay at the seed.
    """
    held = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(held[0])
        np.random.set_state(held[1])

"""When the epochs of a training ended."""

import time

import keras
import numpy as np


class EpochClock(keras.callbacks.Callback):
    """Keeps when epochs ended."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(time.perf_counter())

    @property
    def epoch(self):
        """Seconds of an epoch, without the first: their median."""
        return float(np.median(np.diff(self.ends)))

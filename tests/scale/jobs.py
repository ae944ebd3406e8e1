"""What jobs of the tests label; workers import it, so that each function travels by its name."""

import os
import signal
from pathlib import Path

import numpy as np
from caching import Lines, numbers

COUNT = 3  # parts, of 13 shards
X = numbers(100)
Y = np.arange(100) % 5


def small_shards():
    """Makes the shards of caches that this process begins small."""
    from keras_kd.cache import identity

    identity._SHARD_EXAMPLES, identity._BLOCK_EXAMPLES = 8, 4


def teacher():
    small_shards()  # in a worker no fixture does
    return Lines()


LOADS = []


def counted_teacher():
    LOADS.append(os.getpid())
    return teacher()


def other_teacher():
    small_shards()
    return Lines(shift=1.0)


def data():
    return X, Y


def four_columns():
    return np.repeat(X, 4, axis=1)


def part(start, stop):
    return X[start:stop], Y[start:stop]


class Mortal(Lines):
    """Its process is killed the first time that it comes to one of two examples."""

    def __call__(self, x):
        grave = Path(os.environ["KERAS_KD_TEST_DEATHS"]) / f"{np.min(x):.0f}"
        if grave.name in ("8", "72") and not grave.exists():
            grave.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(x)


class OutOfDisk(Lines):
    """Fails as a full disk does, with the examples of the second of three parts."""

    def __call__(self, x):
        if 40.0 <= float(np.max(x)) < 50.0:
            raise OSError("No space left on device")
        return super().__call__(x)


def out_of_disk_teacher():
    small_shards()
    return OutOfDisk()


def mortal_teacher():
    small_shards()
    return Mortal()

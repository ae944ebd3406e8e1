"""A teacher that was made from a config, which holds no weights."""

import numpy as np
from keras import ops


class BareTeacher:
    """Remembers the weights that a new model began with, to tell whether it has got its own.

    Args:
        teacher: A model that has just been made, or None.
    """

    def __init__(self, teacher):
        weights = [] if teacher is None else teacher.weights
        kernels = [weight for weight in weights if len(weight.shape) > 1] or weights
        self._probes = kernels[:1]  # the first of a model's kernels is drawn at random
        self._began_as = self._values()

    def check(self):
        """Raises a ValueError if the teacher still has the weights that it began with."""
        if self._probes and np.array_equal(self._values(), self._began_as):
            raise ValueError(
                "The teacher of this Distiller was made from a config, so it has new weights and "
                "knows nothing: keras.models.clone_model, from_config and .h5 files hold no "
                "teacher's weights. Save and load a Distiller as .keras, its weights alone as "
                ".weights.h5, or make a new one: keras_kd.Distiller(student, teacher). Received: "
                f"teacher weight {self._probes[0].path!r} as it was initialised"
            )

    def _values(self):
        return [ops.convert_to_numpy(each) for each in self._probes]


def check_keeps_teacher(filepath):
    """Raises a ValueError if a file of that name would hold no teacher."""
    name = str(filepath)
    legacy = name.endswith((".h5", ".hdf5")) and not name.endswith(".weights.h5")
    if legacy:
        raise ValueError(
            "A Distiller cannot be saved as .h5, which would lose its teacher: take a name that "
            "ends in .keras, or distiller.student.save(...) for the student alone. "
            f"Received: filepath={name!r}"
        )

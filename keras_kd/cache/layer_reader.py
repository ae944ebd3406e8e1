"""A teacher that gives what is inside it, too."""

import keras

from keras_kd.features.attention import find_attention
from keras_kd.features.layer_tree import find_layer
from keras_kd.features.recording import Recording, watched
from keras_kd.features.tap import ATTENTION_SIDES


class LayerReader(keras.Model):
    """Gives a teacher's outputs and the values that taps read, in one forward pass.

    Args:
        teacher: A built model.
        taps: The `Tap`s.

    Raises:
        ValueError: If the teacher has no such layer.
    """

    def __init__(self, teacher, taps):
        super().__init__(dtype=teacher.dtype_policy, autocast=False)
        self.teacher, self.taps = teacher, tuple(taps)
        self.read = [self._find(tap) for tap in taps]
        self.built = True

    def call(self, inputs, training=None):
        """Returns `{"teacher_outputs": outputs, "teacher_features": {key: value}}`."""
        read = dict(zip(self.taps, self.read, strict=True))
        with watched((), read), Recording() as recording:
            outputs = self.teacher(inputs, training=False)
        features = {tap.key: recording.value(layer, tap) for tap, layer in read.items()}
        return {"teacher_outputs": outputs, "teacher_features": features}

    def _find(self, tap):
        layer = find_layer(self.teacher, tap.layer, "teacher")
        if tap.side in ATTENTION_SIDES:
            return find_attention(self.teacher, layer, tap, "teacher")
        return layer

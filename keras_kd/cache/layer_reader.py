"""A teacher that gives what is inside it, and its masks, too."""

import keras
from keras import ops

from keras_kd.features.attention import find_attention
from keras_kd.features.layer_tree import find_layer
from keras_kd.features.recording import Recording, watched
from keras_kd.features.tap import ATTENTION_SIDES, mask_key
from keras_kd.losses.formula.keras_mask import keras_mask


class LayerReader(keras.Model):
    """Gives a teacher's outputs, the values that taps read and the masks of both, in one pass.

    Args:
        teacher: A built model.
        taps: The `Tap`s.
        gives_masks: Whether to give masks.

    Raises:
        ValueError: If the teacher has no such layer.
    """

    def __init__(self, teacher, taps, gives_masks=True):
        super().__init__(dtype=teacher.dtype_policy, autocast=False)
        self.teacher, self.taps, self.gives_masks = teacher, tuple(taps), gives_masks
        self.read = [self._find(tap) for tap in taps]
        self.built = True

    def call(self, inputs, training=None):
        """Returns `{"teacher_outputs": outputs}`, and where there are any `"teacher_features"`
        `{key: value}` and `"teacher_masks"` `{mask_key: mask}`."""
        read = dict(zip(self.taps, self.read, strict=True))
        with watched((), read), Recording() as recording:
            outputs = self.teacher(inputs, training=False)
        features = {tap.key: recording.value(layer, tap) for tap, layer in read.items()}
        given = {"teacher_outputs": outputs}
        if features:
            given["teacher_features"] = features
        if self.gives_masks:
            masks = {mask_key(tap): recording.mask(layer, tap) for tap, layer in read.items()}
            masks = {key: mask for key, mask in masks.items() if mask is not None}
            masks |= _masks_of(outputs)
            if masks:
                given["teacher_masks"] = {key: ops.cast(masks[key], "int32") for key in masks}
        return given

    def _find(self, tap):
        layer = find_layer(self.teacher, tap.layer, "teacher")
        if tap.side in ATTENTION_SIDES:
            return find_attention(self.teacher, layer, tap, "teacher")
        return layer


def _masks_of(outputs):
    """Returns the masks of a model's outputs that have positions, by `mask_key`."""
    leaves = keras.tree.flatten_with_path(outputs)
    alone = len(leaves) == 1  # an output of its own needs no name
    found = {mask_key(() if alone else path): (leaf, keras_mask(leaf)) for path, leaf in leaves}
    return {
        key: mask
        for key, (leaf, mask) in found.items()
        if mask is not None and tuple(mask.shape) == tuple(leaf.shape[: len(mask.shape)])
    }

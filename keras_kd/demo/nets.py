"""The nets of a run: the demo's own, or a user's."""

import keras

from keras_kd.demo.new_weights import with_new_weights
from keras_kd.features.dtype_clone import dtype_clone
from keras_kd.models import cnn, mlp

# What pixels reach the models, by the option's value: the smallest and the largest.
PIXELS = {"255": (0.0, 255.0), "1": (0.0, 1.0), "centred": (-1.0, 1.0)}


class Nets:
    """Makes a run's teacher and students.

    Args:
        image_shape: `(height, width, channels)` of the data.
        num_classes: How many classes they tell apart.
        student_width: Units or channels of the demo's own student, or None.
        teacher, student: An `OwnModel`, or None for the demo's own net.
        keep_weights: Whether own students start from the file's weights.
        pixels: A key of `PIXELS`, what the data hold.
        class_names: What the outputs are called, or None.
    """

    def __init__(
        self,
        image_shape,
        num_classes,
        *,
        student_width=None,
        teacher=None,
        student=None,
        keep_weights=False,
        pixels="255",
        class_names=None,
    ):
        self.image_shape, self.num_classes = image_shape, num_classes
        self.student_width, self.keep_weights, self.pixels = student_width, keep_weights, pixels
        self.own_teacher, self.own_student = teacher, student
        self.class_names = class_names or [f"output {n}" for n in range(num_classes)]
        self.tiny_images = min(image_shape[:2]) < 16

    @property
    def student_from_logits(self):
        """Whether the students return logits."""
        return self.own_student is None or self.own_student.from_logits

    def teacher(self):
        """Returns a new teacher, or the user's, which is trained."""
        if self.own_teacher is not None:
            return self.own_teacher.model
        net = cnn(
            self.image_shape,
            self.num_classes,
            width=32,
            stages=2 if self.tiny_images else 3,
            depth=2,
            dropout=0.2,
            name="teacher",
        )
        return self._on_pixels(net)

    def student(self):
        """Returns a new student."""
        if self.own_student is not None:
            copied = dtype_clone if self.keep_weights else with_new_weights
            return copied(self.own_student.model)
        shape, classes, width = self.image_shape, self.num_classes, self.student_width
        if self.tiny_images:
            return self._on_pixels(mlp(shape, classes, hidden=(width or 16,), name="student"))
        return self._on_pixels(cnn(shape, classes, width=width or 8, name="student"))

    def _on_pixels(self, net):
        """The demo's nets take 0 to 255: others are brought there."""
        if self.pixels == "255":
            return net
        low, high = PIXELS[self.pixels]
        scale = 255.0 / (high - low)
        pixels = keras.layers.Rescaling(scale, -low * scale, name="pixels")
        return keras.Sequential([keras.Input(self.image_shape), pixels, net], name=net.name)

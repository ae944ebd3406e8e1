"""Images that look a little different each time."""

from keras_kd.lazy_modules import tf

VIEWS = 4  # of each image, which the teacher answers once


class Augmentation:
    """Shifts an image by up to an eighth of its size, and mirrors every second one if asked to.

    What moves in is black. A mirrored digit or letter is another one; a mirrored photo is not.

    Args:
        flips: Whether to mirror, left to right.
        black: The value of a black pixel.

    Call arguments:
        x: One image.
        seed: Two int32, as a `TeacherCache` gives them.
    """

    def __init__(self, flips, black=0.0):
        self.flips, self.black = flips, black

    def __call__(self, x, seed):
        """Returns the image as `seed` has it look."""
        height, width, channels = x.shape
        down, right = max(1, height // 8), max(1, width // 8)
        padding = [[down, down], [right, right], [0, 0]]
        padded = tf.pad(x, padding, constant_values=self.black)
        x = tf.image.stateless_random_crop(padded, (height, width, channels), seed)
        return tf.image.stateless_random_flip_left_right(x, seed + 1) if self.flips else x

"""The trained embeddings of losses that compare samples in a space of their own."""

import keras


class EmbeddingPair(keras.layers.Layer):
    """A Dense layer for the teacher's vectors and one for the student's.

    Args:
        dim: Width of both embeddings.
        teacher_shape: Shape of the teacher's vectors, `(B, C)`.
        student_shape: Shape of the student's vectors, `(B, C)`.
        dtype: What both compute in.
    """

    def __init__(self, dim, teacher_shape, student_shape, dtype):
        super().__init__(dtype=dtype, autocast=False, name="embeddings")
        self.teacher = keras.layers.Dense(dim, dtype=dtype, name="teacher")
        self.student = keras.layers.Dense(dim, dtype=dtype, name="student")
        self.teacher.build((None, *teacher_shape[1:]))
        self.student.build((None, *student_shape[1:]))
        self.built = True

    def call(self, inputs):
        """Returns both embeddings, of `(teacher_value, student_value)`."""
        teacher_value, student_value = inputs
        return self.teacher(teacher_value), self.student(student_value)

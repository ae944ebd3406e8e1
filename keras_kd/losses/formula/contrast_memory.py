"""What CRDLoss remembers of every training sample."""

import math

import keras
from keras import ops

from keras_kd.losses.formula.embedding_pair import EmbeddingPair
from keras_kd.losses.formula.unit_norm import unit_norm

# Scores of all samples cost `size` products of vectors for each of the batch, those of the drawn
# ones `negatives` products and as many gathered vectors, which take about this many times longer.
_GATHERING = 16


class ContrastMemory(keras.layers.Layer):
    """Two embeddings and, for every training sample, the last ones it was seen with.

    Everything is saved with the Distiller: the memories, the normalising constants, which the first
    training batch sets, and where the random generator of the negatives stands.

    Args:
        loss: The `CRDLoss`, for its `size`, `negatives`, `temperature`, `momentum`, `dim`, `dtype`.
        teacher_shape: Shape of the teacher's vectors, `(B, C)`.
        student_shape: Shape of the student's vectors, `(B, C)`.
    """

    def __init__(self, loss, teacher_shape, student_shape):
        super().__init__(dtype=loss.dtype, autocast=False, name="contrast_memory")
        self.size, self.negatives = loss.size, loss.negatives
        self.temperature, self.momentum = loss.temperature, loss.momentum
        self.embeddings = EmbeddingPair(loss.dim, teacher_shape, student_shape, loss.dtype)
        bound = math.sqrt(3.0 / loss.dim)  # rows of length 1 in the mean, as the authors start
        uniform = keras.initializers.RandomUniform(-bound, bound)
        self.teacher_memory = self._state("teacher_memory", (self.size, loss.dim), uniform)
        self.student_memory = self._state("student_memory", (self.size, loss.dim), uniform)
        self.log_z = self._state("log_z", (2,))  # of the teacher's and of the student's scores
        self.z_is_set = self._state("z_is_set", ())
        self.seeds = keras.random.SeedGenerator()
        self.built = True

    def call(self, inputs, index, training=None):
        """Scores both sides against the other's memory and, in training, remembers the batch.

        Args:
            inputs: `(teacher_value, student_value)`, vectors `(B, C)`.
            index: Their numbers among the training samples, `(B,)`, from 0 to size - 1. Where one
                is not, nothing of the batch is remembered and the scores mean nothing.
            training: Whether the memory is updated.

        Returns:
            Logarithms of the teacher's and of the student's normalised scores, each
            `(B, 1 + negatives)`: first that of the sample itself, then those of the negatives.
        """
        teacher, student = (unit_norm(vectors, -1) for vectors in self.embeddings(inputs))
        known = self.knows(index)
        index = ops.where(known, index, ops.zeros_like(index))
        chosen = ops.concatenate([index[:, None], self.draw(index)], axis=1)
        scores = (
            self._scores(teacher, self.student_memory, chosen),
            self._scores(student, self.teacher_memory, chosen),
        )
        log_z = self._normalising_constants(scores, training)
        if training:
            self._remember(self.teacher_memory, teacher, index, ops.all(known))
            self._remember(self.student_memory, student, index, ops.all(known))
        return scores[0] - log_z[0], scores[1] - log_z[1]

    def knows(self, index):
        """Returns which of the numbers are those of training samples."""
        return ops.logical_and(index >= 0, index < self.size)

    def draw(self, index):
        """Draws for each sample negatives `(B, negatives)`, uniformly among all other samples."""
        shape = (ops.shape(index)[0], self.negatives)
        others = keras.random.randint(shape, 0, self.size - 1, dtype="int32", seed=self.seeds)
        return others + ops.cast(others >= index[:, None], "int32")

    def _scores(self, vectors, memory, chosen):
        memory = ops.convert_to_tensor(memory)
        if self.size <= _GATHERING * (self.negatives + 1):
            # A copy: PyTorch changes the memory in place, and differentiates after that.
            scores = ops.matmul(vectors, ops.transpose(ops.copy(memory)))
            scores = ops.take_along_axis(scores, chosen, axis=1)
        else:
            scores = ops.einsum("bd,bkd->bk", vectors, ops.take(memory, chosen, axis=0))
        return scores / self.temperature

    def _normalising_constants(self, scores, training):
        """Returns log Z of both sides: the mean of exp(score), times size, of the first batch."""
        estimates = [
            ops.logsumexp(each) - ops.log(ops.cast(ops.size(each), each.dtype)) for each in scores
        ]
        estimates = ops.stop_gradient(ops.stack(estimates)) + math.log(self.size)
        known, z_is_set = (ops.convert_to_tensor(state) for state in (self.log_z, self.z_is_set))
        log_z = ops.where(z_is_set > 0.0, known, estimates)
        if training:
            self.log_z.assign(log_z)
            self.z_is_set.assign(1.0)
        return log_z

    def _remember(self, memory, vectors, index, valid):
        rows = ops.convert_to_tensor(memory)
        vectors = ops.stop_gradient(vectors)
        # A sample that stands twice in a batch is remembered by the mean of both, at both places.
        same = ops.cast(ops.equal(index[:, None], index[None, :]), vectors.dtype)
        seen = ops.matmul(same, vectors) / ops.sum(same, axis=1, keepdims=True)
        old = ops.take(rows, index, axis=0)
        new = unit_norm(self.momentum * old + (1.0 - self.momentum) * seen, -1)
        memory.assign(ops.scatter_update(rows, index[:, None], ops.where(valid, new, old)))

    def _state(self, name, shape, initializer="zeros"):
        return self.add_weight(
            shape=shape,
            initializer=initializer,
            dtype=self.dtype,
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name=name,
        )

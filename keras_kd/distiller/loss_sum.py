"""Sums of terms that Keras computes in `floatx` and losses in their own dtype."""

import keras
from keras import ops


def as_term(value):
    """Returns a term of the equation in the dtype of the sum: at least float32."""
    return ops.cast(value, "float64" if keras.config.floatx() == "float64" else "float32")


def sum_of(terms):
    """Returns the sum of terms, each of which may have any shape; 0 for none."""
    return sum((as_term(ops.sum(term)) for term in terms), as_term(ops.zeros(())))

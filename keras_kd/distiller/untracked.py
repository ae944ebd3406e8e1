"""Holding what Keras must not track."""


class Untracked:
    """Holds an object where Keras does not look for layers."""

    def __init__(self, value):
        self.value = value

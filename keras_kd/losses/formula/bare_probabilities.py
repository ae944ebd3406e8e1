"""Values that say of themselves that they are probabilities."""


def bare_probabilities(value):
    """Returns `(p, True)` of `{"probabilities": p}`, as a cache gives it, else `(value, False)`."""
    if isinstance(value, dict) and set(value) == {"probabilities"}:
        return value["probabilities"], True
    return value, False

"""Names in the style of Keras."""

import re


def snake_case(name: str) -> str:
    """Returns a class name as Keras writes it in the names of its objects: `KDLoss`, `kd_loss`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()

"""Parameters of which the first stand for all in `make test`, and `make test-all` runs the rest."""

import pytest


def first_of(names, values, **kwargs):
    """`pytest.mark.parametrize`, with a mark `slow` on all values but the first.

    For true variants: what the first shows, the others show again of another dtype, structure or
    format. Of several such decorators on one test the first of each make the one that stands.
    """
    first, *others = values
    many = isinstance(names, list | tuple) or "," in names
    marked = [
        pytest.param(*(other if many else (other,)), marks=pytest.mark.slow) for other in others
    ]
    return pytest.mark.parametrize(names, [first, *marked], **kwargs)

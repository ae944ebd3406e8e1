"""Parameters whose variants are left to `make test-all`, or to the backends that have them."""

import keras
import pytest

# For what a step that is compiled cannot raise, and shows otherwise.
of_compiled_steps = pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="PyTorch runs the step in Python, where what is wrong is an error at once",
)


def first_of(names, values, **kwargs):
    """`pytest.mark.parametrize`, with a mark `slow` on all values but the first.

    For true variants: what the first shows, the others show again of another dtype, structure or
    format. Of several such decorators on one test the first of each make the one that stands.
    """
    return _all_but_the_first(pytest.mark.slow, names, values, kwargs)


def alike_but_first(names, values, **kwargs):
    """`pytest.mark.parametrize`, with a mark `alike` on all values but the first.

    For variants that another backend cannot tell apart: TensorFlow's run walks all of them.
    """
    return _all_but_the_first(pytest.mark.alike, names, values, kwargs)


def _all_but_the_first(mark, names, values, kwargs):
    first, *others = values
    many = isinstance(names, list | tuple) or "," in names
    marked = [pytest.param(*(other if many else (other,)), marks=mark) for other in others]
    return pytest.mark.parametrize(names, [first, *marked], **kwargs)


def ways_to_run(*ways):
    """Arguments of `compile` as parameters `(way,)`, each with what PyTorch makes of it.

    Keras takes one step at a time there, and `torch.compile` takes long.
    """
    if keras.backend.backend() != "torch":
        return ways
    one_step = pytest.mark.skip(reason="Keras takes one step at a time on PyTorch")
    return [
        pytest.param(way, marks=one_step)
        if "steps_per_execution" in way
        else pytest.param(way, marks=pytest.mark.slow if way.get("jit_compile") else ())
        for way in ways
    ]

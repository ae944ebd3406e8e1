"""What the rooms offer says its types; what is private need not."""

import importlib
import inspect
import pkgutil

import pytest

import keras_kd

ROOMS = sorted(
    module.name
    for module in pkgutil.iter_modules(keras_kd.__path__, "keras_kd.")
    if module.ispkg and module.name != "keras_kd.demo"
)


def offered(room):
    """The classes and functions that a room's `__init__` names."""
    named = vars(importlib.import_module(room)).values()
    return [value for value in named if inspect.isfunction(value) or inspect.isclass(value)]


def functions_of(value):
    """A function itself, or what a class and its bases of this library define that is public."""
    if inspect.isfunction(value):
        return {value.__name__: value}
    found = {}
    for base in (base for base in value.__mro__ if base.__module__.startswith("keras_kd.")):
        file = inspect.getfile(base)
        for name, member in vars(base).items():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            # A dataclass makes methods of its own, in no file.
            written = inspect.isfunction(function) and function.__code__.co_filename == file
            if written and (name.startswith("__") or not name.startswith("_")):
                found[f"{base.__name__}.{name}"] = function
    return found


def unannotated(function):
    """The names of parameters without a type, `return` among them."""
    parameters = inspect.signature(function).parameters
    names = [name for name in parameters if name not in ("self", "cls")]
    return [name for name in [*names, "return"] if name not in function.__annotations__]


def test_an_unannotated_parameter_is_found():
    class Known(keras_kd.losses.DistillationLoss):
        def call(self, teacher_value, student_value: float, **kwargs):
            pass

    assert unannotated(Known.call) == ["teacher_value", "kwargs", "return"]


@pytest.mark.parametrize("room", ["keras_kd", *ROOMS])
def test_all_that_a_room_offers_is_annotated(room):
    functions = {k: v for value in offered(room) for k, v in functions_of(value).items()}
    assert functions
    missing = {name: unannotated(function) for name, function in functions.items()}
    assert {name: parameters for name, parameters in missing.items() if parameters} == {}

"""What the library offers, room by room; it needs no Sphinx, so that tests ask it too."""

import importlib

ROOMS = (
    "distiller",
    "losses",
    "callbacks",
    "cache",
    "teachers",
    "schemes",
    "tuning",
    "scale",
    "features",
    "evaluation",
    "export",
    "runtimes",
    "data",
    "models",
)


def _public(room):
    module = importlib.import_module(f"keras_kd.{room}")
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "").startswith(f"keras_kd.{room}.")
    ]
    return {name: getattr(module, name) for name in names}


def documented():
    """Returns each public name's object, by the name under which it is documented."""
    import keras_kd

    found = {}
    for room in ROOMS:
        for name, value in _public(room).items():
            top = getattr(keras_kd, name, None) is value
            found[f"keras_kd.{name}" if top else f"keras_kd.{room}.{name}"] = (room, value)
    return found

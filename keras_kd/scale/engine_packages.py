"""Apache Beam and Ray, where they are installed."""

from typing import Any


def beam_package() -> Any:
    """Returns the module `apache_beam`, or says what is missing.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import apache_beam
    except ImportError as error:
        raise ImportError(
            "Labelling on Apache Beam needs it, which is the `beam` extra: "
            "`pip install 'keras_kd[beam]'`."
        ) from error
    return apache_beam


def ray_package() -> Any:
    """Returns the module `ray`, or says what is missing.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "Labelling on Ray needs it, which is the `ray` extra: `pip install 'keras_kd[ray]'`."
        ) from error
    return ray

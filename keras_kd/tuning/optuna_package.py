"""Optuna, where it is installed."""

from typing import Any


def optuna_package() -> Any:
    """Returns the module `optuna`, or says what is missing.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "Searching for settings needs Optuna, which is the `tuning` extra: "
            "`pip install 'keras_kd[tuning]'`."
        ) from error
    return optuna

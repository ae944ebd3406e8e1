"""A set of TensorFlow Datasets by its name."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

from keras_kd.lazy_modules import tfds


def tfds_builder(name: str, data_dir: str | os.PathLike | None = None) -> Any:
    """Returns the builder of a set of TensorFlow Datasets, nothing loaded yet.

    Args:
        name: A TFDS name, or that of a set that `data_dir` holds; `"name/config"` picks one
            configuration.
        data_dir: The folder TFDS keeps its sets in. None is TFDS' own default.

    Raises:
        ValueError: If there is no set of that name.
    """

    try:
        return tfds.builder(name, data_dir=data_dir)
    except ValueError as error:  # DatasetNotFoundError, or a name TFDS cannot parse
        raise ValueError(_unknown_name(name, data_dir)) from error


def _unknown_name(name, data_dir) -> str:

    folder = Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
    local = sorted(
        path.name for path in folder.glob("[!.]*") if path.is_dir() and path.name != "downloads"
    )
    known = tfds.list_builders(with_community_datasets=False)
    base = str(name).split("/")[0].split(":")[0]
    near = difflib.get_close_matches(base, dict.fromkeys([*local, *known]), n=3)
    return (
        f"TensorFlow Datasets knows: {', '.join(known)}.\n"
        f"The folder {str(folder)!r} holds: {', '.join(local) or 'nothing'}.\n"
        f"`name` must be one of these. "
        + (f"Did you mean {' or '.join(map(repr, near))}? " if near else "")
        + f"Received: name={name!r}"
    )

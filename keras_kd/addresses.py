"""Files behind addresses, such as `gs://bucket/file`, which fsspec reads and writes."""

import os
import pathlib
from typing import Any

from keras_kd.checks import is_remote, local_path

_NO_HOSTS = ("file", "local")
_HOSTS_OR_NONE = ("hdfs", "arrow_hdfs", "webhdfs")


def path_or_address(name: str, path: str | os.PathLike) -> pathlib.Path | str:
    """Returns the path, or an address as text, or says why it is neither.

    Args:
        name: The argument's name, for messages.
        path: What was given for it.

    Raises:
        TypeError, ValueError, ImportError: As `local_path` and `file_system`.
    """
    if not isinstance(path, str | os.PathLike) or not is_remote(path):
        return local_path(name, path)
    address = _whole(name, os.fspath(path))
    file_system(name, address)
    return address


def _whole(name, text):
    """Returns an address in one form; a `pathlib.Path` of one has lost a slash."""
    kind, _, rest = text.partition(":")
    if "::" in text or (not rest.startswith("//") and kind in _HOSTS_OR_NONE):
        raise ValueError(
            f"`{name}` must be an address of one store, with all its slashes: text such as "
            f"'{kind}:///folder'. Received: {name}={text!r}"
        )
    if not rest.startswith("//"):
        rest = rest.replace("\\", "/")
        rest = f"//{rest}" if kind in _NO_HOSTS else f"/{rest}"
    return f"{kind}:{rest.rstrip('/')}"


def file_system(name: str, url: str) -> tuple[Any, str]:
    """Returns fsspec's file system of an address, and the path in it.

    Args:
        name: The argument's name, for messages.
        url: The address.

    Raises:
        ImportError: If a package is missing that this kind of address needs.
        ValueError: If there is no such kind of address, or its file system does not take it.
        OSError: If the store cannot be reached.
    """
    try:
        import fsspec
    except ImportError as error:
        raise ImportError(
            "Addresses are reached through fsspec: `pip install fsspec`, or give a path. "
            f"Received: {name}={url!r}"
        ) from error
    known = {*fsspec.available_protocols(), *fsspec.registry}
    if url.split(":", maxsplit=1)[0] not in known:
        raise ValueError(
            f"`{name}` must be a path, or an address of a kind that fsspec knows. Received: "
            f"{name}={url!r}. Available: {sorted(known)}"
        )
    try:
        try:
            # What other machines wrote meanwhile is looked for anew.
            return fsspec.core.url_to_fs(url, use_listings_cache=False)
        except TypeError:  # it hands all options to what connects
            return fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ImportError(
            f"Another package reads addresses of this kind. {error}. Received: {name}={url!r}"
        ) from error
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` is no address that its file system takes. Received: {name}={url!r} "
            f"({type(error).__name__}: {error})"
        ) from error
    except Exception as error:  # some connect here, and raise what they like
        raise OSError(
            f"The store could not be reached. Received: {name}={url!r} "
            f"({type(error).__name__}: {error})"
        ) from error

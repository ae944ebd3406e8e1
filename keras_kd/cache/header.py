"""What stands in a cache's description, looked at where it is read: a stranger may have written it.

Nothing of it becomes a path or code.
"""

import math
import re

FORMAT = 3
_DTYPES = ("float16", "bfloat16", "float32", "uint8", "uint16", "int32")
_MOST_VIEWS = 10**6
_MOST_EXAMPLES = 2**20  # of a file
_MOST_BYTES = 2**40  # of an example
_DEEP = 32
_PARTS = {"teacher_outputs", "teacher_features", "teacher_masks"}


def check_header(found, file):
    """Raises an OSError if a description is none that this version writes.

    Args:
        found: What was read from `file`.
        file: For the message.
    """
    version = found.get("format") if isinstance(found, dict) else None
    if _is_whole(version, 0, math.inf) and version != FORMAT:
        raise OSError(
            "The cache was written by another version of keras_kd: label the data into another "
            f"folder. Received: '{file}' of format {version}, expected {FORMAT}"
        )
    wrong = "no dict" if version is None else next(_wrong(found), None)
    if wrong is not None:
        raise OSError(
            "The description of the cache is none that keras_kd writes: get the cache again, or "
            f"label the data into another folder. Received: '{file}' with {wrong}"
        )


def check_examples(found, file):
    """Returns the number of examples, or raises an OSError that names the file."""
    examples = found.get("examples") if isinstance(found, dict) else None
    if not _is_whole(examples, 1, 2**62):
        raise OSError(
            "A file of the cache must tell the number of examples. Received: "
            f"'{file}' with examples={examples!r}"
        )
    return examples


def check_parts(found, file):
    """Returns what workers agree about, or raises an OSError that names the file."""
    whole = (
        isinstance(found, dict)
        and set(found) == {"count", "examples", "version"}
        and _is_whole(found["count"], 1, 2**62)
        and _is_whole(found["examples"], 1, 2**62)
        and isinstance(found["version"], str)
    )
    if not whole:
        raise OSError(
            "A file of the cache must tell the count of parts, the number of examples and a "
            f"version. Received: '{file}' with {str(found)[:100]}. Delete it: the next worker "
            "writes it anew, and complete shards stay"
        )
    return found


def check_seal(found, file, number):
    """Raises an OSError if the seal of a shard with this number lacks what a seal has."""
    whole = isinstance(found, dict) and all(
        _is_whole(found.get(name), 1, 2**62) for name in ("examples", "bytes")
    )
    texts = {"content": "[0-9a-f]+", "checksum": "[0-9a-f]{64}"}  # which names a copy of the file
    if whole and "file" in found:  # the name that its writer gave it
        texts["file"] = f"shard-{number:05}-[0-9a-f]{{32}}[.]tfrecord"
    if not whole or not all(_is_text(found.get(name), like) for name, like in texts.items()):
        raise OSError(
            "The seal of a shard must tell its examples, bytes and content. Received: "
            f"'{file}'. Delete it and its shard: `label` then labels these examples again"
        )


def _wrong(header):
    """Yields what is wrong, as `name=value`."""
    checks = {
        "format": lambda value: _is_whole(value, FORMAT, FORMAT),
        "settings": _are_settings,
        "teacher": lambda value: isinstance(value, str),
        "data": lambda value: isinstance(value, str),
        "augmentation": lambda value: (
            value is None or (_are(value, list) and all(_are(each, str) for each in value))
        ),
        "activations": lambda value: _are(value, (str, type(None))),
        "structure": _is_structure,
        "components": lambda value: _are(value, dict) and all(map(_is_component, value)),
        "shard_examples": _is_size,
        "block_examples": _is_size,
        "cache": lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{32}", value),
    }
    if set(header) != set(checks):
        yield f"{sorted(set(header) ^ set(checks))} too much or missing"
        return
    for name, is_right in checks.items():
        if not is_right(header.get(name)):
            yield f"{name}={str(header.get(name))[:100]}"
            return
    if not set(header["activations"]) <= {"softmax", "sigmoid", None}:
        yield f"activations={header['activations']}"
    if header["shard_examples"] % header["block_examples"]:
        yield f"shard_examples={header['shard_examples']}"
    numbers = sorted(_numbers(header["structure"]))
    if not numbers or numbers != list(range(len(header["components"]))):
        yield f"structure={str(header['structure'])[:100]} of {len(header['components'])} parts"


def _are_settings(found):
    return (
        isinstance(found, dict)
        and set(found) == {"dtype", "top_k", "layers", "from_logits", "views"}
        and found["dtype"] in ("float16", "bfloat16", "float32")
        and (found["top_k"] is None or _is_whole(found["top_k"], 1, 2**31))
        and _are(found["layers"], str)
        and (found["from_logits"] is None or isinstance(found["from_logits"], bool))
        and _is_whole(found["views"], 1, _MOST_VIEWS)
    )


def _is_structure(found):
    return (
        isinstance(found, dict)
        and set(found) == {"dict"}
        and isinstance(found["dict"], dict)
        and {"teacher_outputs"} <= set(found["dict"]) <= _PARTS
        and _is_nest(found, _DEEP)
    )


def _is_nest(found, depth):
    if not isinstance(found, dict):
        return _is_whole(found, 0, 2**31)
    if depth == 0 or len(found) != 1:
        return False
    kind, parts = next(iter(found.items()))
    if kind == "dict" and isinstance(parts, dict):
        parts = list(parts.values())
    elif kind != "tuple" or not isinstance(parts, list):
        return False
    return all(_is_nest(part, depth - 1) for part in parts)


def _numbers(nest):
    if isinstance(nest, int):
        yield nest
        return
    (parts,) = nest.values()
    for part in parts.values() if isinstance(parts, dict) else parts:
        yield from _numbers(part)


def _is_component(found):
    shape = found.get("shape")
    return (
        set(found) == {"shape", "dtype", "read_as", "probabilities"}
        and isinstance(shape, list)
        and all(_is_whole(size, 0, _MOST_BYTES) for size in shape)
        and math.prod(shape) <= _MOST_BYTES
        and found["dtype"] in _DTYPES
        and found["read_as"] in ("float32", "int32", "bool")
        and isinstance(found["probabilities"], bool)
    )


def _is_text(found, like):
    return isinstance(found, str) and re.fullmatch(like, found) is not None


def _is_size(found):
    return _is_whole(found, 1, _MOST_EXAMPLES)


def _is_whole(found, least, most):
    return isinstance(found, int) and not isinstance(found, bool) and least <= found <= most


def _are(found, kinds):
    return isinstance(found, list) and all(isinstance(each, kinds) for each in found)

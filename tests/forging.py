"""Descriptions as a stranger would write them: altered, with a checksum that is right."""

import hashlib
import json

VALUES = (
    None, True, 0, -1, 7, 10**8, 2**70, 0.5, "x", "../../etc", "float64", [], [1], {}, {"dict": {}}
)  # fmt: skip


def forge(file, change):
    """Changes what a description of a cache says, and its checksum with it."""
    content = change(json.loads(file.read_text())["content"])
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    file.write_text(json.dumps({"content": content, "checksum": checksum}))


def altered(content):
    """Yields `(what, content)`: each place of a description replaced by each of `VALUES`, or gone.

    Args:
        content: A nest of dicts, lists and values.
    """
    for path in _places(content):
        before = _at(content, path)
        for value in VALUES:
            if (type(value), value) != (type(before), before):
                yield f"{path}={value!r}", _replaced(content, path, value)
        if path and isinstance(_at(content, path[:-1]), dict):
            yield f"no {path}", _without(content, path)


def _places(content, path=()):
    yield path
    if isinstance(content, dict):
        parts = content.items()
    else:
        parts = enumerate(content) if isinstance(content, list) else ()
    for key, part in parts:
        yield from _places(part, (*path, key))


def _at(content, path):
    for key in path:
        content = content[key]
    return content


def _replaced(content, path, value):
    if not path:
        return value
    copied = json.loads(json.dumps(content))
    _at(copied, path[:-1])[path[-1]] = value
    return copied


def _without(content, path):
    copied = json.loads(json.dumps(content))
    del _at(copied, path[:-1])[path[-1]]
    return copied

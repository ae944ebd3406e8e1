"""Runs the first lines of Python on the page of the installed package, as an index shows it.

`make dist` does so with the wheel, in a virtual environment of its own.
"""

import re
from importlib import metadata
from pathlib import Path

import keras_kd

TREE = Path(__file__).resolve().parent.parent / "keras_kd"

installed = Path(keras_kd.__file__).resolve().parent
if installed == TREE:
    raise SystemExit(f"The wheel was to be tried, and this is the tree. Received: {installed}")
if not (installed / "py.typed").exists():
    raise SystemExit(f"The package must say that it is typed. Received: no py.typed in {installed}")
page = metadata.metadata("keras_kd")
if page["Version"] != keras_kd.__version__:
    raise SystemExit(
        "The package must have one version. "
        f"Received: {page['Version']} of the metadata, __version__={keras_kd.__version__!r}"
    )
lines = re.search(r"```python\n(.*?)```", page.json["description"], re.DOTALL).group(1)
exec(compile(lines, "README.md", "exec"), {})

"""Prints what `make attacks` found, and keeps it in benchmarks/attacks.md."""

import argparse
import importlib.metadata
import json
import os
import platform
from pathlib import Path

from setup_lines import cpu_model

PAGE = Path(__file__).with_suffix(".md")
INTRODUCTION = """# Attacks

What `make attacks` does to caches, processes and arguments, printed by
`benchmarks/attacks.py` from the tests in `tests/attacks`. Nothing may be lost (a sealed shard that
is gone or changed, a file left behind), silent (a wrong answer, or something accepted that is
wrong), or raw (an error in nobody's words).
"""


def main():
    """Reads what pytest left of each backend, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="named by their backend")
    files = {file.stem.rsplit("_", 1)[-1]: file for file in parser.parse_args().files}
    backends = {name: json.loads(file.read_text()) for name, file in files.items()}
    lines = [INTRODUCTION, *setup(), "", *table(backends)]
    PAGE.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def table(backends) -> list[str]:
    """Returns a line an attack and backend."""
    lines = ["| attack | backend | tried | lost | silent | raw |", "|:--|:--|--:|--:|--:|--:|"]
    for backend, found in backends.items():
        lines += [
            "| "
            + " | ".join(
                [each["attack"], backend]
                + [f"{each[key]:,}" for key in ("tried", "lost", "silent", "raw")]
            )
            + " |"
            for each in sorted(found, key=lambda each: each["attack"])
        ]
    return lines


def setup() -> list[str]:
    names = ("keras", "tensorflow", "jax", "numpy", "filelock")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return [
        f"- machine: {cpu_model()}, {os.cpu_count()} cores",
        f"- versions: Python {platform.python_version()}, {versions}",
        "- command: `make attacks`",
    ]


if __name__ == "__main__":
    main()

"""Notebooks and benchmark pages stand in their own folders; the site shows copies."""

import json
import os
import pathlib
import re

_LINK = re.compile(r"`(\w+)\.md`")  # one benchmark page names another


def _copy(app):
    docs = pathlib.Path(app.srcdir)
    evidence = {path.stem: path for path in (docs.parent / "benchmarks").glob("*.md")}
    for name, path in evidence.items():
        text = _LINK.sub(
            lambda match: f"[`{match[1]}.md`]({match[1]}.md)" if match[1] in evidence else match[0],
            path.read_text(encoding="utf-8"),
        )
        figure = docs / "evidence" / "figures" / f"{name}.md"
        if figure.exists():  # what is better looked at than read
            head, rest = text.split("\n", 1)
            text = f"{head}\n\n{figure.read_text(encoding='utf-8')}\n{rest}"
        _write(docs / "evidence" / "pages" / path.name, text)
    for path in (docs.parent / "notebooks").glob("*.ipynb"):
        text = with_badge(
            path.read_text(encoding="utf-8"), path.name, os.environ.get("KERAS_KD_REPOSITORY")
        )
        _write(docs / "gallery" / "notebooks" / path.name, text)


def with_badge(notebook, name, repository):
    """Returns a notebook's JSON with a Colab badge under its title.

    Args:
        notebook: The JSON.
        name: The file's name.
        repository: `owner/name` on GitHub; where it is not known there is no badge.
    """
    if not repository:
        return notebook
    content = json.loads(notebook)
    title, _, rest = "".join(content["cells"][0]["source"]).partition("\n")
    address = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{name}"
    badge = (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"
    )
    content["cells"][0]["source"] = f"{title}\n\n{badge}\n{rest}"
    return json.dumps(content, indent=1)


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app):
    """Registers with Sphinx."""
    app.connect("builder-inited", _copy, priority=200)
    return {"parallel_read_safe": True}

"""What the site's pages say is there and runs; `make docs` sees to links and names."""

import json
import re
import sys
from pathlib import Path

import pytest

import keras_kd

DOCS = Path(__file__).parent.parent / "docs"
sys.path.insert(0, str(DOCS / "extensions"))

from borrowed_pages import with_badge  # noqa: E402
from markdown_docstrings import as_rst  # noqa: E402
from public_rooms import documented  # noqa: E402

WITH_CODE = sorted(
    page
    for page in [*DOCS.glob("guides/*.md"), *DOCS.glob("start/*.md")]
    if "```python\n" in page.read_text(encoding="utf-8")
)


@pytest.mark.pages
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_the_code_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        short = re.sub(r"epochs=[1-9]\d+", "epochs=2", block)
        exec(compile(short, page.name, "exec"), names)


@pytest.mark.parametrize("room", ["losses", "callbacks", "schemes", "teachers", "tuning", "scale"])
def test_every_public_name_has_a_row(room):
    page = (DOCS / "api" / f"{room}.md").read_text(encoding="utf-8")
    for name in getattr(keras_kd, room).__all__:
        assert f"`{room}.{name}`" in page


def test_every_public_name_has_an_example():
    found = documented()
    assert len(found) > 100
    assert [
        name
        for name, (_, value) in found.items()
        if ">>>" not in value.__doc__ and "```python" not in value.__doc__
    ] == []


def test_notebooks_have_a_colab_badge_where_the_repository_is_known():
    path = DOCS.parent / "notebooks" / "schemes.ipynb"
    notebook = path.read_text(encoding="utf-8")
    assert with_badge(notebook, path.name, None) == notebook
    first = json.loads(with_badge(notebook, path.name, "owner/keras_kd"))["cells"][0]["source"]
    title, rest = first.split("\n", 1)
    assert title.startswith("# Schemes") and "each in at most 25 lines" in rest
    assert (
        "colab.research.google.com/github/owner/keras_kd/blob/main/notebooks/schemes.ipynb" in rest
    )


def test_docstrings_of_markdown_become_restructured_text():
    lines = [
        "The `Loss`s of |x|, `a | b`.",
        "",
        "```",
        "|f| = 1",
        "```",
        "| a | b |",
        "|---|---|",
        "",
        ">>> print('| c |')",
        "| c |",
    ]
    assert as_rst(lines) == [
        r"The `Loss`\ s of \|x\|, `a | b`.",
        "",
        "",
        "::",
        "",
        "    |f| = 1",
        "",
        "",
        "::",
        "",
        "    | a | b |",
        "    |---|---|",
        "",
        "",
        ">>> print('| c |')",
        "| c |",
    ]

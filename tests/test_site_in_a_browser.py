"""The built site on a telephone and on a desk."""

from pathlib import Path

import pytest
from browser import WIDTHS, needs_browser, shown

SITE = Path(__file__).parent.parent / "docs" / "_build" / "html"
PAGES = [
    "index",
    "start/first_student",
    "start/from_keras_distillation",
    "guides/which_loss",
    "guides/equation",
    "guides/troubleshooting",
    "evidence/pages/tasks",
    "evidence/pages/speed",
    "api/losses",
    "api/names/losses.KDLoss",
    "api/names/distiller.Distiller",
    "gallery/notebooks/unlabelled_images",
]


@pytest.mark.pages
@needs_browser
@pytest.mark.skipif(not SITE.exists(), reason="`make docs` builds the site first")
def test_no_page_overflows_and_nothing_fails(tmp_path):
    found, errors = shown([SITE / f"{page}.html" for page in PAGES], tmp_path)
    overflowing = [
        (page, width, widths[width][0])
        for page, widths in zip(PAGES, found, strict=True)
        for width in WIDTHS
        if widths[width][0] > width
    ]
    assert overflowing == []
    # The theme tells the console what it does, under its own name.
    assert [line for line in errors if "[PST]" not in line] == []

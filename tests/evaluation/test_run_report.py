"""What a report of a run looks like, in Markdown and as a page."""

import base64
import html.parser
import re

import pytest

from keras_kd.evaluation.report import STYLE
from keras_kd.evaluation.run_report import Picture, Section, write_report

pytestmark = [pytest.mark.core, pytest.mark.alike]

DOT = base64.b64decode(  # a PNG of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


class Page(html.parser.HTMLParser):
    """The elements of a page in their order, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, *tags):
        return [attributes for tag, attributes in self.found if tag in tags]


@pytest.fixture
def written(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in ("chart.png", "pictures/one.png", "pictures/two.png"):
        (tmp_path / name).write_bytes(DOT)
    sections = [
        Section("Table", "First.\n\nSecond <b>.", [["Model", "A & B"], ["<net>", 1]]),
        Section("Chart", pictures=[Picture(tmp_path / "chart.png", 'Bars of "a" [1]')]),
        Section(
            "Images",
            pictures=[
                Picture(
                    tmp_path / f"pictures/{name}.png", f"Image {name}", f"true: {name}\nsaid: x"
                )
                for name in ("one", "two")
            ],
        ),
    ]
    markdown, page = write_report(tmp_path, "A & B", sections)
    return markdown.read_text(), page.read_text()


def test_markdown_has_paragraphs_tables_and_pictures_with_words(written):
    text = written[0]
    assert "# A & B\n\n## Table\n\nFirst.\n\nSecond <b>.\n\n| Model | A & B |" in text
    assert r'![Bars of "a" \[1\]](<chart.png>)' in text
    assert "![Image two](<pictures/two.png>)\n\ntrue: two\nsaid: x" in text


def test_the_page_can_be_read_aloud_and_by_keyboard(written):
    page = Page(written[1])
    assert page.all("html") == [{"lang": "en"}] and len(page.all("main")) == 1
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )
    assert [tag for tag, _ in page.found if re.match(r"h\d", tag)] == ["h1", "h2", "h2", "h2"]
    assert [each.get("scope") for each in page.all("th")] == ["col", "col", "row"]
    assert [each["alt"] for each in page.all("img")] == [
        'Bars of "a" [1]',
        "Image one",
        "Image two",
    ]
    regions = [each for each in page.all("div") if each.get("role") == "region"]
    assert [each["aria-label"] for each in regions] == ["Table: Table", "Picture: Chart"]
    assert all(each["tabindex"] == "0" for each in regions)


def test_the_page_needs_no_other_file_and_escapes_text(written):
    page = written[1]
    assert page.count('src="data:image/png;base64,') == 3 == page.count("src=")
    assert (
        "Second &lt;b&gt;." in page and "&lt;net&gt;" in page and "<title>A &amp; B</title>" in page
    )


def brightness(color):
    """Relative luminance by WCAG 2."""
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_stands_out_in_the_light_and_in_the_dark():
    schemes = [dict(re.findall(r"--(\w+): (#\w+)", part)) for part in STYLE.split("@media")]
    schemes[1] = dict(re.findall(r"--(\w+): (#\w+)", STYLE.split("@media")[1].split("}")[0]))
    assert schemes[0]["page"] != schemes[1]["page"]
    for colors in schemes:
        page = brightness(colors["page"])
        for name in ("ink", "soft"):
            low, high = sorted((page, brightness(colors[name])))
            assert (high + 0.05) / (low + 0.05) >= 4.5

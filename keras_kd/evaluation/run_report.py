"""One report of a whole run, in Markdown and as a page that needs no other file."""

import dataclasses
import html
import pathlib

from keras_kd.checks import local_path
from keras_kd.evaluation.report import html_document, html_image, scrolling


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture in a report.

    Attributes:
        path: A PNG file in the report's folder, or in one below it.
        alt: What is seen, for who does not see it.
        caption: What stands below it. Pictures with captions are small and stand side by side.
    """

    path: pathlib.Path
    alt: str
    caption: str = ""


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: The heading.
        text: What stands below it; an empty line parts paragraphs.
        rows: A table: the first row holds the heads, the first column the names.
        pictures: The `Picture`s below.
    """

    title: str
    text: str = ""
    rows: list = dataclasses.field(default_factory=list)
    pictures: list = dataclasses.field(default_factory=list)


def markdown_table(rows: list) -> str:
    """Returns the rows as a Markdown table, padded so that it also reads well in a terminal."""
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "| "
        + " | ".join(
            str(cell).ljust(width) if index == 0 else str(cell).rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = "|:" + "-|-".join("-" * width for width in widths) + ":|"
    return "\n".join([lines[0], rule, *lines[1:]])


def write_report(folder, title: str, sections: list) -> tuple:
    """Writes `report.md` and a self-contained `report.html`.

    Args:
        folder: Where both go; pictures are read from there.
        title: The title of both.
        sections: The `Section`s, in order.

    Returns:
        The two paths, Markdown first.
    """
    folder = local_path("folder", folder)
    markdown = [f"# {title}", *(part for each in sections for part in _in_markdown(each, folder))]
    page = "\n".join(part for each in sections for part in _in_html(each))
    text_path, page_path = folder / "report.md", folder / "report.html"
    text_path.write_text("\n\n".join(markdown) + "\n", encoding="utf-8")
    page_path.write_text(html_document(title, page), encoding="utf-8")
    return text_path, page_path


def _in_markdown(section, folder):
    yield f"## {section.title}"
    if section.text:
        yield section.text
    if section.rows:
        yield markdown_table(section.rows)
    for picture in section.pictures:
        place = picture.path.relative_to(folder).as_posix()
        alt = picture.alt.replace("[", r"\[").replace("]", r"\]")
        yield f"![{alt}](<{place}>)"
        if picture.caption:
            yield picture.caption


def _in_html(section):
    yield f"<h2>{html.escape(section.title)}</h2>"
    for paragraph in filter(None, section.text.split("\n\n")):
        yield f"<p>{html.escape(paragraph)}</p>"
    if section.rows:
        yield scrolling(_html_table(section.rows), f"Table: {section.title}")
    small = [picture for picture in section.pictures if picture.caption]
    for picture in section.pictures:
        if not picture.caption:
            yield scrolling(_html_image(picture), f"Picture: {section.title}")
    if small:
        figures = (
            f"<figure>{_html_image(picture)}"
            f"<figcaption>{html.escape(picture.caption)}</figcaption></figure>"
            for picture in small
        )
        yield '<div class="pictures">\n' + "\n".join(figures) + "\n</div>"


def _html_image(picture):
    return html_image(picture.path.read_bytes(), picture.alt)


def _html_table(rows):
    heads, *body = [[html.escape(str(cell)) for cell in row] for row in rows]
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    lines = [f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>"]
    for name, *cells in body:
        row = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{name}</th>{row}</tr>')
    return "\n".join([*lines, "</tbody>\n</table>"])

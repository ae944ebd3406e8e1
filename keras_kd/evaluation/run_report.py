"""One report of a whole run, in Markdown and as a page that needs no other file."""

import base64
import dataclasses
import html
import pathlib

from keras_kd.checks import local_path
from keras_kd.evaluation.report import STYLE


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: The heading.
        text: A paragraph below it.
        rows: A table: the first row holds the heads, the first column the names.
        image: A PNG file in the report's folder, or None.
    """

    title: str
    text: str = ""
    rows: list = dataclasses.field(default_factory=list)
    image: pathlib.Path | None = None


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
        folder: Where both go; images are read from there.
        title: The title of both.
        sections: The `Section`s, in order.

    Returns:
        The two paths, Markdown first.
    """
    folder = local_path("folder", folder)
    markdown, page = [f"# {title}"], [f"<h1>{html.escape(title)}</h1>"]
    for section in sections:
        markdown.append(f"## {section.title}")
        page.append(f"<h2>{html.escape(section.title)}</h2>")
        if section.text:
            markdown.append(section.text)
            page.append(f"<p>{html.escape(section.text)}</p>")
        if section.rows:
            markdown.append(markdown_table(section.rows))
            page.append(_html_table(section.rows))
        if section.image is not None:
            markdown.append(f"![{section.title}]({section.image.name})")
            data = base64.b64encode(section.image.read_bytes()).decode("ascii")
            page.append(
                f'<img alt="{html.escape(section.title)}" src="data:image/png;base64,{data}">'
            )
    text_path, page_path = folder / "report.md", folder / "report.html"
    text_path.write_text("\n\n".join(markdown) + "\n", encoding="utf-8")
    page_path.write_text(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n"
        + "\n".join(page)
        + "\n</body>\n</html>\n",
        encoding="utf-8",
    )
    return text_path, page_path


def _html_table(rows):
    heads, *body = [[html.escape(str(cell)) for cell in row] for row in rows]
    lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in heads) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body]
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"

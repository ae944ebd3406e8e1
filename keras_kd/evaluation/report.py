"""The comparison as HTML, and what all pages have in common."""

import base64
import html
import string

STYLE = """\
:root { color-scheme: light dark; --page: #fff; --ink: #222; --soft: #555; --line: #ddd;
        --rule: #777; --focus: #0b57d0; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16181c; --ink: #e8e8e8; --soft: #b8b8b8; --line: #3a3d43; --rule: #8a8f98;
          --focus: #9ec1ff; }
}
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
       margin: 0; }
main { max-width: 80rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .25rem; }
p { color: var(--soft); max-width: 50rem; margin: .5rem 0 0; }
.wide { overflow-x: auto; margin-top: 1rem; }
.wide:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap;
        overflow-wrap: normal; }
th, td { padding: .4rem .8rem; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
thead th { border-bottom: 2px solid var(--rule); white-space: normal; vertical-align: bottom; }
tbody th { font-weight: 400; }
tr > :first-child { text-align: left; padding-left: 0; }
td.best { font-weight: 700; }
img { display: block; background: #fff; border-radius: 4px; }
.wide > img { width: 100%; min-width: 45rem; max-width: 70rem; padding: .5rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr));
            gap: 1.25rem; margin-top: 1rem; }
figure { margin: 0; }
figure img { width: 7rem; height: 7rem; object-fit: contain; image-rendering: pixelated;
             border: 1px solid var(--line); }
figcaption { color: var(--soft); font-size: .875rem; line-height: 1.35; margin-top: .4rem;
             white-space: pre-line; }"""

_DOCUMENT = string.Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<main>
<h1>$title</h1>
$body
</main>
</body>
</html>
""")
_TITLE = "Comparison of models"
_ALT = (
    "Dots, one a model, in a panel for each figure of quality; below them quality against size on "
    "disk. The table above has the figures."
)


def html_document(title: str, body: str) -> str:
    """A page that needs no other file, for wide and narrow screens, light and dark.

    Args:
        title: Its title and first heading, as text.
        body: What stands below the heading, as HTML.

    Returns:
        The page.
    """
    return _DOCUMENT.substitute(title=html.escape(title), style=STYLE, body=body)


def scrolling(content: str, label: str) -> str:
    """A part that scrolls by itself where it is wider than the page, by keyboard too.

    Args:
        content: A table or a picture, as HTML.
        label: What it is called where it is read aloud, as text.

    Returns:
        The part.
    """
    label = html.escape(label)
    return f'<div class="wide" role="region" aria-label="{label}" tabindex="0">\n{content}\n</div>'


def html_image(png: bytes, alt: str) -> str:
    """A picture inside the page.

    Args:
        png: The picture.
        alt: What is seen on it, as text.

    Returns:
        An `<img>`.
    """
    data = base64.b64encode(png).decode("ascii")
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'


def html_page(caption: str, table: str, png: bytes, alt: str = _ALT) -> str:
    """The page of a comparison.

    Args:
        caption: Line below the title, as HTML.
        table: The table, as HTML, and what stands below it.
        png: The picture.
        alt: What is seen on the picture, as text.

    Returns:
        The page.
    """
    table, end, below = table.partition("</table>")
    parts = [
        f"<p>{caption}. Bold: best of its column.</p>",
        scrolling(table + end, "Table of all models"),
        below.strip(),
        scrolling(html_image(png, alt), "Picture of all models"),
    ]
    return html_document(_TITLE, "\n".join(part for part in parts if part))


def html_table(columns: list, rows: list[dict]) -> str:
    """The table, with the best figure of each column marked.

    Args:
        columns: The `Column`s to show.
        rows: One dict a model.

    Returns:
        A `<table>`; all text is escaped.
    """
    best = {column.key: _best(column, rows) for column in columns}
    heads = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in _heads(columns))
    lines = [f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>"]
    for row in rows:
        cells = [f'<th scope="row">{html.escape(row["model"])}</th>']
        for column in columns:
            value = row.get(column.key)
            mark = ' class="best"' if value is not None and value == best[column.key] else ""
            cells.append(f"<td{mark}>{html.escape(column.text(row))}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines.append("</tbody>\n</table>")
    return "\n".join(lines)


def _heads(columns):
    return ["Model", *(column.head for column in columns)]


def _best(column, rows):
    values = [row[column.key] for row in rows if row.get(column.key) is not None]
    if column.better is None or len(values) < 2:
        return None
    return max(values) if column.better == "higher" else min(values)

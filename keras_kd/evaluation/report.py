"""The comparison as HTML."""

import base64
import html
import string

STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 80rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
p { color: #666; margin-top: .25rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .4rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }
th { font-weight: 600; border-bottom: 2px solid #888; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
td.best { font-weight: 700; }
img { max-width: 100%; margin-top: 1.5rem; }"""

_PAGE = string.Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Comparison of models</title>
<style>
$style
</style>
</head>
<body>
<h1>Comparison of models</h1>
<p>$caption. Bold: best of its column.</p>
<div class="wide">
$table
</div>
<img alt="Quality of each model, and quality against size" src="data:image/png;base64,$image">
</body>
</html>
""")


def html_page(caption: str, table: str, png: bytes) -> str:
    """A page that needs no other file.

    Args:
        caption: Line below the title, as HTML.
        table: The table, as HTML.
        png: The picture.

    Returns:
        The page.
    """
    image = base64.b64encode(png).decode("ascii")
    return _PAGE.substitute(style=STYLE, caption=caption, table=table, image=image)


def html_table(columns: list, rows: list[dict]) -> str:
    """The table, with the best figure of each column marked.

    Args:
        columns: The `Column`s to show.
        rows: One dict a model.

    Returns:
        A `<table>`; all text is escaped.
    """
    best = {column.key: _best(column, rows) for column in columns}
    heads = "".join(f"<th>{html.escape(head)}</th>" for head in _heads(columns))
    lines = [f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>"]
    for row in rows:
        cells = [f"<td>{html.escape(row['model'])}</td>"]
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

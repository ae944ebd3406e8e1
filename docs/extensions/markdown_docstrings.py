"""Docstrings fence formulas and draw tables as Markdown does; Sphinx reads reStructuredText."""

import re

_CODE = re.compile(r"(`[^`]*`)")
_LETTER = re.compile(
    r"^(\s*\*{0,2}\w+\*{0,2}: [A-Z])\. "
)  # `temperature: T. None is ...` begins no list


def as_rst(lines):
    """Returns the lines with fenced blocks and tables as literal blocks, and plain bars escaped."""
    turned, indent, fenced, table, example = [], "", False, False, False
    for line in lines:
        words = line.strip()
        example = bool(words) and (example or words.startswith(">>>"))
        if example:
            turned.append(line)
            continue
        if words.startswith("```"):
            fenced = not fenced
            indent = line[: len(line) - len(line.lstrip())]
            turned += ["", f"{indent}::", ""] if fenced else [""]
            continue
        if words.startswith("|") and words.endswith("|") and not fenced:
            if not table:
                indent = line[: len(line) - len(line.lstrip())]
                turned += ["", f"{indent}::", ""]
            table = True
        elif table:
            table = False
            turned.append("")
        if fenced or table:
            turned.append(f"{indent}    {line[len(indent) :]}" if words else line)
        else:
            turned.append(_escaped(line))
    return turned


def _escaped(line):
    parts, after_code = [], False
    for part in _CODE.split(_LETTER.sub(r"\1\\. ", line)):
        if part.startswith("`"):
            parts.append(part)
            after_code = True
        else:
            glued = after_code and part[:1].isalnum()  # `Difference`s
            parts.append((r"\ " if glued else "") + part.replace("|", r"\|"))
            after_code = False
    return "".join(parts)


def _process(app, what, name, obj, options, lines):
    lines[:] = as_rst(lines)


def setup(app):
    """Registers with Sphinx, before napoleon looks for sections."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    return {"parallel_read_safe": True}

"""A page for every public name, and a link wherever a page names one in code.

What stands in `__all__` of a room gets a page; code such as `losses.KDLoss` or `TeacherCache.label`
becomes a link to it, and code that names what a room does not have is a warning.
"""

import inspect
import pathlib
import re

from docutils import nodes
from public_rooms import ROOMS, documented
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

_NAME = re.compile(r"^(?:keras_kd\.)?([A-Za-z_][\w.]*)(?:\(.*\))?$", re.DOTALL)
_log = logging.getLogger(__name__)


def _short_names(documented):
    """Returns what code may say, and which full name it means."""
    short = {}
    for full, (room, value) in documented.items():
        last = full.rpartition(".")[2]
        members = [
            member
            for member, what in (vars(value) if inspect.isclass(value) else {}).items()
            if not member.startswith("_") and (callable(what) or isinstance(what, property))
        ]
        for said in (last, f"{room}.{last}"):
            short[said] = full
            short |= {f"{said}.{member}": f"{full}.{member}" for member in members}
    return short


def _write_pages(app):
    folder = pathlib.Path(app.srcdir) / "api" / "names"
    folder.mkdir(exist_ok=True)
    pages = {}
    for full, (room, value) in app.public_names.items():
        kind = "autoclass" if inspect.isclass(value) else "autofunction"
        last = full.rpartition(".")[2]
        members = "   :members:\n" if inspect.isclass(value) else ""
        pages[f"{room}.{last}.rst"] = f"{last}\n{'=' * len(last)}\n\n.. {kind}:: {full}\n{members}"
    for old in folder.glob("*.rst"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


class LinkNames(SphinxTransform):
    """Makes code that is a public name a link."""

    default_priority = 210

    def apply(self, **kwargs):
        """Walks one document."""
        short = self.app.short_names
        for literal in list(self.document.findall(nodes.literal)):
            if literal.parent is None or _inside(literal, nodes.title, nodes.reference):
                continue
            match = _NAME.match(literal.astext())
            if match is None:
                continue
            said = match.group(1)
            if said in short:
                self._link(literal, short[said])
            elif self._misses(said):
                _log.warning(f"keras_kd has no {said!r}", location=literal, type="public_names")

    def _misses(self, said):
        room, _, name = said.partition(".")
        return room in ROOMS and room not in ("data", "models") and name[:1].isupper()

    def _link(self, literal, full):
        reference = addnodes.pending_xref(
            "",
            literal.deepcopy(),
            refdomain="py",
            reftype="obj",
            reftarget=full,
            refexplicit=True,
            refdoc=self.env.docname,
            refwarn=True,
        )
        literal.replace_self(reference)


def _inside(node, *kinds):
    while node.parent is not None:
        node = node.parent
        if isinstance(node, (*kinds, addnodes.desc_signature, addnodes.pending_xref)):
            return True
    return False


def _prepare(app):
    app.public_names = documented()
    app.short_names = _short_names(app.public_names)
    _write_pages(app)


def setup(app):
    """Registers with Sphinx."""
    app.connect("builder-inited", _prepare, priority=100)
    app.add_transform(LinkNames)
    return {"parallel_read_safe": True}

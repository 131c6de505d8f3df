"""HTML, SVG and Markdown from templates: what is put in is escaped. All pages are made with these."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from sam3i_edge.terminal import printable


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def markup(template: str, /, **values: object) -> Markup:
    """``template``, whose fields are replaced as by ``str.format``; text is escaped on the way, for attributes, too.

    >>> markup('<p title="{told}">{found:.1f}</p>', told='a "red" <mug>', found=2.0)
    '<p title="a &quot;red&quot; &lt;mug&gt;">2.0</p>'
    """
    return Markup(template.format(**{name: _safe(value) for name, value in values.items()}))


def _safe(value: object) -> object:
    if isinstance(value, Markup | int | float):
        return value
    return html.escape(printable(value))


def joined(parts: Iterable[Markup], separator: str = "") -> Markup:
    """All of them in one."""
    return Markup(separator.join(parts))


def markdown(template: str, /, **values: object) -> str:
    r"""``template``, whose fields are replaced as by ``str.format``, with text that Markdown shows as it is.

    >>> markdown("**{name}**", name="a_b <img> *c* | [d](e)")
    '**a_b &lt;img> \\*c\\* \\| \\[d\\](e)**'
    """
    return template.format(**{name: _plain(value) for name, value in values.items()})


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a table."""
    return "| " + " | ".join(map(_plain, cells)) + " |"


def _plain(value: object) -> str:
    text = printable(value).replace("&", "&amp;").replace("<", "&lt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # within a word it marks nothing
    return re.sub(r"^(\s*)(?=[#>+=]|-(?!\d|$))", r"\1\\", text)

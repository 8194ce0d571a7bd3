"""Escaped text and tables as HTML strings; knows no other room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["element", "table", "text"]


def text(value: object) -> str:
    """Return `value` as text that HTML shows and never runs, inside or outside an attribute."""
    # Lone surrogates cannot be written as UTF-8; they are shown as what a decoder makes of them.
    return escape(str(value).encode("utf-8", "replace").decode("utf-8"), quote=True)


def element(tag: str, inner: str, **attributes: str) -> str:
    """Return one element around `inner`, which is HTML already; attribute values are escaped here.

    A trailing underscore in an attribute's name is dropped, so ``class_`` writes ``class``.
    """
    written = "".join(f' {name.rstrip("_").replace("_", "-")}="{text(value)}"' for name, value in attributes.items())
    return f"<{tag}{written}>{inner}</{tag}>"


def table(
    headings: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    numeric: Sequence[int] = (),
    wrapped: Sequence[int] = (),
) -> str:
    """Return a table of escaped cells.

    The columns whose index is in `numeric` carry the class ``n``, those in `wrapped` the class ``w``.
    """

    def cells(tag: str, row: Sequence[object], **attributes: str) -> str:
        made = []
        for i, cell in enumerate(row):
            classes = {"class_": "n"} if i in numeric else {"class_": "w"} if i in wrapped else {}
            made.append(element(tag, text(cell), **attributes, **classes))
        return element("tr", "".join(made))

    head = element("thead", cells("th", headings, scope="col"))
    body = element("tbody", "\n".join(cells("td", row) for row in rows))
    return element("table", head + "\n" + body)

"""Escaped text, tables, coloured tokens and whole pages as HTML strings; knows no other room."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape

__all__ = ["TOKEN_STYLE", "element", "page", "table", "text", "tokens", "whole_characters"]

TOKEN_STYLE = """
.tokens { white-space: pre-wrap; overflow-wrap: anywhere; font: 14px/1.7 ui-monospace, Menlo, Consolas, monospace; }
.tokens span { border-radius: .2em; padding: .1em 0; }
.t0 { background: rgba(90, 150, 255, .32); }
.t1 { background: rgba(255, 165, 60, .36); }
.t2 { background: rgba(80, 190, 120, .34); }
.t3 { background: rgba(235, 95, 130, .30); }
.t4 { background: rgba(160, 120, 235, .32); }
.tokens .many { outline: 1px dashed currentColor; outline-offset: -1px; }
"""
"""How `tokens` are coloured: through the ink of light and dark pages alike."""

_COLOURS = 5


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


def tokens(spelled: Sequence[bytes]) -> str:
    """Return the tokens of a text as coloured spans, for `TOKEN_STYLE`.

    Tokens that share a character stand in one dashed span, which says how many they are.
    """
    made = []
    first = 0
    for group in whole_characters(spelled):
        colour = f"t{first % _COLOURS}"
        shown = b"".join(group).decode("utf-8", "replace")
        if len(group) == 1:
            made.append(element("span", text(shown), class_=colour))
        else:
            made.append(element("span", text(shown), class_=f"{colour} many", title=f"{len(group)} tokens"))
        first += len(group)
    return element("div", "".join(made), class_="tokens")


def whole_characters(spelled: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yield the tokens in groups that are whole characters: one token each, but where tokens share a character."""
    group: list[bytes] = []
    for token in spelled:
        group.append(token)
        try:
            b"".join(group).decode("utf-8")
        except UnicodeDecodeError:
            continue
        yield group
        group = []
    if group:
        yield group


def page(title: str, style: str, body: str) -> str:
    """Return a document that shows `body` in one style sheet, and may load, run and send nothing."""
    # The policy allows this one style sheet by its digest and nothing else, whatever the text of the page says.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'"
    head = (
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{style}</style>"
    )
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'

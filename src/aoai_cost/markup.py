"""Escaped text, tables, results, coloured tokens and whole pages as HTML strings; knows no other room."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from html import escape
from itertools import islice

__all__ = [
    "TOKEN_STYLE",
    "account",
    "amount",
    "cost",
    "difference",
    "element",
    "empty",
    "facts",
    "first_rows",
    "page",
    "plain",
    "result",
    "span",
    "table",
    "text",
    "tokens",
    "whole_characters",
]

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

# A notebook has styles of its own for tables; these hold inside a result alone. JupyterLab's give way only to ":not".
_RESULT_STYLE = """
.aoai-cost .headline { font-size: 1.15em; font-weight: 600; margin: .25em 0; }
.aoai-cost table th:not(.n), .aoai-cost table td:not(.n) { text-align: left; vertical-align: top; }
.aoai-cost table .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.aoai-cost th { white-space: nowrap; }
.aoai-cost .w { overflow-wrap: anywhere; }
"""
_SHOWN_ROWS = 20
_SHOWN_NOTES = 10
_FOR_READING = Context(prec=28)


def text(value: object) -> str:
    """Return `value` as text that HTML shows and never runs, inside or outside an attribute."""
    # Lone surrogates cannot be written as UTF-8; they are shown as what a decoder makes of them.
    return escape(str(value).encode("utf-8", "replace").decode("utf-8"), quote=True)


def element(tag: str, inner: str, **attributes: str) -> str:
    """Return one element around `inner`, which is HTML already; attribute values are escaped here.

    A trailing underscore in an attribute's name is dropped, so ``class_`` writes ``class``.
    """
    return f"<{tag}{_written(attributes)}>{inner}</{tag}>"


def empty(tag: str, **attributes: str) -> str:
    """Return an element that never holds anything, as `element` does."""
    return f"<{tag}{_written(attributes)}>"


def _written(attributes: Mapping[str, str]) -> str:
    return "".join(f' {name.rstrip("_").replace("_", "-")}="{text(value)}"' for name, value in attributes.items())


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


def result(headline: str, *parts: str, notes: Sequence[object] = ()) -> str:
    """Return what a notebook shows of a result: one line that says it, tables, and notes; `parts` are HTML already."""
    said = [element("li", text(plain(note))) for note in notes[:_SHOWN_NOTES]]
    if len(notes) > _SHOWN_NOTES:
        said.append(element("li", f"and {len(notes) - _SHOWN_NOTES:,} more in .notes"))
    listed = element("ul", "\n".join(said)) if said else ""
    line = element("p", text(plain(headline)), class_="headline")
    return element(
        "div", "\n".join([element("style", _RESULT_STYLE), line, *filter(None, parts), listed]), class_="aoai-cost"
    )


def facts(told: Iterable[tuple[str, object]]) -> str:
    """Return names and values as a table; what is None or empty is left out."""
    rows = "\n".join(
        element("tr", element("th", text(name), scope="row") + element("td", text(plain(value)), class_="w"))
        for name, value in told
        if value not in (None, "", ())
    )
    return element("table", element("tbody", rows)) if rows else ""


def first_rows(
    headings: Sequence[object],
    rows: Iterable[Sequence[object]],
    n_rows: int,
    *,
    all_in: str,
    numeric: Sequence[int] = (),
    most: int = _SHOWN_ROWS,
) -> str:
    """Return the first rows as a table, and a line that says where all are if these are not all; empty without rows."""
    if not n_rows:
        return ""
    shown = table(headings, (tuple(map(plain, row)) for row in islice(rows, most)), numeric=numeric)
    return shown + (element("p", text(f"the first {most:,} of {n_rows:,}; {all_in} has all")) if n_rows > most else "")


def amount(value: Decimal | Fraction) -> str:
    """Return money rounded to cents for reading, or with four digits that count below one cent.

    Files and attributes carry the exact amount; this is for people.
    """
    if isinstance(value, Fraction):
        value = _FOR_READING.divide(Decimal(value.numerator), Decimal(value.denominator))
    if value == 0 or abs(value) >= Decimal("0.01"):
        return f"{value:,.2f}"
    # A Decimal keeps zeros at its end; the same amount is to look the same, however it was come by.
    return f"{value:.4g}".rstrip("0") if abs(value) >= Decimal("0.00001") else f"{value:.2E}"


def cost(value: Decimal | None, complete: bool = True) -> str:
    """Return a cost for reading, with a mark where something is missing from it, or all."""
    return "?" if value is None else amount(value) + ("" if complete else " + ?")


def difference(value: Decimal | None) -> str:
    """Return a difference in cost for reading, with its sign; None where it is not known."""
    return ("+" if value is not None and value > 0 else "") + cost(value)


def span(low: Decimal, high: Decimal | None, currency: str) -> str:
    """Return what something costs at least and at most, for reading; `high` is None where nothing bounds it."""
    if high is None:
        return f"{amount(low)} {currency} or more"
    return f"{amount(low)} {currency}" if low == high else f"{amount(low)} to {amount(high)} {currency}"


def plain(value: object) -> str:
    """Return `value` as one line of printable text: control characters and lone surrogates are escaped.

    Names in a log are a stranger's text; printed raw they could move the cursor or forge lines.
    """
    # pandas, which has a null of its own, takes long to load.
    if value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and value != value):
        return "(none)"
    shown = str(value)
    return shown if shown.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def account(resource: object) -> str:
    """Return the account name of an ARM id; any other name as it is."""
    return plain(resource).rsplit("/", 1)[-1] or plain(resource)


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


def page(
    title: str, style: str, body: str, *, data: Mapping[str, str] | None = None, scripts: Sequence[str] = ()
) -> str:
    """Return a document that shows `body` in one style sheet, runs `scripts` and nothing else, and loads nothing.

    Parameters
    ----------
    title, style, body : str
        Text, CSS and HTML.
    data : mapping of str to str
        JSON texts that the scripts find by the id of their element.
    scripts : sequence of str
        What runs, in this order; no text in them may end their element.
    """
    # The policy allows this style sheet and these scripts by their digests, whatever the text of the page says.
    policy = f"default-src 'none'; style-src {_digest(style)}; base-uri 'none'; form-action 'none'"
    if scripts:
        policy += f"; script-src {' '.join(map(_digest, scripts))}"
    head = (
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{style}</style>"
    )
    # Within JSON a "<" can only stand in a text, where its escape means the same; so nothing there ends the element.
    blocks = [
        element("script", written.replace("<", "\\u003c"), type="application/json", id=name)
        for name, written in (data or {}).items()
    ]
    blocks += [element("script", script) for script in scripts]
    inner = "\n".join([body, *blocks])
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{inner}\n</body>\n</html>\n'


def _digest(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"

"""A cost report as Markdown, short enough for a comment on a pull request; a stranger's names stay text in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ..prices import exact_sum
from .words import (
    CERTAINTY,
    COMPARED,
    GAP_LEGEND,
    account,
    amount,
    columns,
    comparison,
    cost,
    heading,
    meter,
    period,
    plain,
    quantity,
    reading,
    rows,
    troubled_files,
    whole,
)

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["report_markdown"]

_COUNTED = ("requests", "input", "output")
_SHOWN_ROWS = 20
_SHOWN = 20
_LONGEST_NAME = 80
_LONGEST_TEXT = 400
# A word that no Markdown makes anything of: letters and digits, parted by single signs, between brackets and points.
_CALM = re.compile(r"[('\"]*[^\W_]+(?:[.,/'%-][^\W_]+)*[)'\",.;:%?!…]*|[%?]")
# What some renderers link all the same, or take for the number of a list.
_LINKED = re.compile(r"(?i)[('\"]*(?:www\.|gh-?\d|\d+[.)]$)|[('\"]*[0-9a-f]{7,40}\b")


def report_markdown(report: CostReport) -> str:
    """Return the report as Markdown: the total, a table of costs, what is not in the total, notes, and folded details.

    Lists are cut, and say so. Names stand in code spans, where nothing is a link, a mention or HTML; a backtick or a
    bar in one is written as an escape, as what cannot be printed is.
    """
    parts = [_headline(report), _costs(report)]
    if not report.frame["complete"].all():
        parts.append(GAP_LEGEND.replace("? :", "`?`:"))
    parts += _not_in_total(report)
    if report.notes:
        parts.append(_bullets("Notes", [_prose(note) for note in report.notes]))
    if len(report.lines):
        parts.append(_folded(f"Price rows used: {whole(len(report.lines))}", _lines(report)))
    if report.counts.total.rejected:
        parts.append(_folded("Why rows could not be read", _reasons(report)))
    parts.append(_folded("What was read", _read(report)))
    return "\n\n".join(parts) + "\n"


def _headline(report: CostReport) -> str:
    bound, meaning = CERTAINTY[report.certainty]
    money = f"**{amount(report.total)} {_prose(report.currency)}**" + (f" ({bound})" if bound else "")
    days = f"{whole(report.requests)} calls, {period(report)}; {meaning}."
    return f"## Azure OpenAI cost: {money}\n\n{days}"


def _costs(report: CostReport) -> str:
    """Return the dearest rows, in columns that a comment has room for; what all rows say alike is not said."""
    frame = report.frame
    names = [name for name in columns(report)[0] if name != "period" or len(frame["period"].unique()) > 1]
    if "deployment" in names:
        names.remove("resource")
    order = sorted(rows(frame), key=lambda row: -row.cost if row.cost is not None else Decimal(0))
    shown, rest = order[:_SHOWN_ROWS], order[_SHOWN_ROWS:]
    cells = [
        [*(_named(row, name) for name in names), *(whole(getattr(row, name)) for name in _COUNTED), cost(row)]
        for row in shown
    ]
    if rest:
        sums = [whole(sum(getattr(row, name) for row in rest)) for name in _COUNTED]
        of_rest = exact_sum(row.cost for row in rest if row.cost is not None)
        gap = "" if all(row.complete for row in rest) else " + ?"
        cells.append([f"{whole(len(rest))} more", *[""] * (len(names) - 1), *sums, amount(of_rest) + gap])
    totals = [whole(int(frame[name].sum())) for name in _COUNTED]
    cells.append(["**Total**", *[""] * (len(names) - 1), *totals, f"**{amount(report.total)}**"])
    headings = [*(heading(name) for name in (*names, *_COUNTED)), f"Cost {_prose(report.currency)}"]
    return _table(headings, cells, numeric=range(len(names), len(headings)))


def _not_in_total(report: CostReport) -> list[str]:
    said = []
    if report.unmetered:
        said.append(f"{whole(report.unmetered)} calls whose tokens the log does not tell")
    if report.counts.total.rejected:
        said.append(f"{whole(report.counts.total.rejected)} rows that could not be read")
    if report.counts.total.elsewhere:
        said.append(f"{whole(report.counts.total.elsewhere)} calls that another source counts")
    if len(report.unpriced):
        said.append(f"{whole(len(report.unpriced))} quantities without a price")
    parts = [_bullets("Not in the total", said)] if said else []
    if len(report.unpriced):
        cells = [
            (
                _name(f"{account(row.resource)}/{plain(row.deployment)}"),
                _name(row.model),
                _name(meter(row)),
                quantity(row.quantity, row.unit),
                _prose(row.reason),
            )
            for row in rows(report.unpriced.head(_SHOWN))
        ]
        listed = _table(("Deployment", "Model", "Meter", "Quantity", "Reason"), cells, numeric=(3,))
        parts.append(_folded("Quantities without a price", listed + _more(len(report.unpriced) - len(cells))))
    if len(report.comparison):
        compared = [[_name(cell) for cell in row[:3]] + list(row[3:]) for row in comparison(report)]
        listed = _table(COMPARED, compared[:_SHOWN], numeric=range(3, len(COMPARED)))
        parts.append(_folded("Calls that another source counts", listed + _more(len(compared) - _SHOWN)))
    return parts


def _lines(report: CostReport) -> str:
    cells = [
        (
            row.period,
            _name(f"{account(row.resource)}/{plain(row.deployment)}"),
            _name(" ".join(str(part) for part in (row.model, row.version) if part)),
            _name(meter(row) + (", long context" if row.band == "long" else "")),
            quantity(row.quantity, row.unit),
            f"{row.price:f} per {row.price_unit}",
            amount(row.amount),
        )
        for row in rows(report.lines.head(_SHOWN))
    ]
    headings = ("Period", "Deployment", "Model", "Meter", "Quantity", "Price", "Amount")
    return _table(headings, cells, numeric=(4, 6)) + _more(len(report.lines) - _SHOWN)


def _reasons(report: CostReport) -> str:
    reasons = report.counts.reasons
    cells = [(whole(count), _prose(reason)) for reason, count in reasons[:_SHOWN]]
    return _table(("Rows", "Reason"), cells, numeric=(0,)) + _more(len(reasons) - _SHOWN)


def _read(report: CostReport) -> str:
    cells = [(words, whole(count)) for words, count in reading(report)]
    cells.append(("files", whole(len(report.counts.files))))
    cells.append(("of them with rows to look at, or not read to their end", whole(len(troubled_files(report)))))
    cells.append((f"total in {_prose(report.currency)}, to the last digit", f"{report.total:f}"))
    return _table(("", "Count"), cells, numeric=(1,))


def _more(more: int) -> str:
    return f"\n\nand {whole(more)} more; the JSON of the report lists them all" if more > 0 else ""


def _table(headings: Sequence[str], cells: Iterable[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    rule = ["---:" if i in numeric else ":---" for i in range(len(headings))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *cells))


def _bullets(title: str, lines: Sequence[str]) -> str:
    return f"### {title}\n\n" + "\n".join(f"- {line}" for line in lines)


def _folded(title: str, inner: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{inner}\n\n</details>"


def _named(row: Any, column: str) -> str:
    value = getattr(row, column)
    if column == "period":
        return str(value)
    if column == "deployment":
        return _name(f"{account(row.resource)}/{plain(value)}")
    return _name(account(value) if column == "resource" and value is not None else value)


def _name(value: object) -> str:
    """Return a name as a code span."""
    if value is None:
        return "(none)"
    return _code(_cut(plain(value), _LONGEST_NAME))


def _prose(value: object) -> str:
    """Return a sentence in which every word that might be more than a word is a code span."""
    words = _cut(plain(value), _LONGEST_TEXT).split()
    calm = groupby(words, key=lambda word: bool(_CALM.fullmatch(word)) and not _LINKED.match(word))
    return " ".join(" ".join(group) if is_calm else _code(" ".join(group)) for is_calm, group in calm)


def _code(shown: str) -> str:
    # Tables are split at bars before anything else is looked at, in code spans too.
    return "`" + shown.replace("`", "\\x60").replace("|", "\\x7c") + "`" if shown.strip() else "(none)"


def _cut(shown: str, longest: int) -> str:
    return shown if len(shown) <= longest else shown[:longest] + "…"

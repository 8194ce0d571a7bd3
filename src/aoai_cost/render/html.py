"""A cost report as one plain HTML page that opens offline, prints well and runs nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ..markup import element, page, table, text
from .words import (
    GAP_LEGEND,
    OPTIONAL,
    account,
    account_of,
    amount,
    columns,
    cost,
    heading,
    meter,
    period,
    plain,
    quantity,
    reading,
    rows,
    whole,
)

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["report_html"]

_SHOWN_REJECTED = 1_000
_SHOWN_UNFOLDED = 20
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #d5dbe1; --paper: #fff; --mark: #0b62c4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --soft: #a3adb8; --line: #3a424b; --paper: #14181c; --mark: #6cb0ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 84rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { margin: 0; font-size: 1.15rem; font-weight: 600; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.05rem; font-weight: 600; }
.total { margin: .25rem 0 0; font-size: 2.6rem; font-weight: 650; line-height: 1.15;
  font-variant-numeric: tabular-nums; }
.total small { font-size: 1rem; font-weight: 400; color: var(--soft); }
.soft { margin: .25rem 0 0; color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { padding: .4rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 500; white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td { white-space: nowrap; }
.w { white-space: normal; overflow-wrap: anywhere; min-width: 8rem; }
.bar svg { display: block; width: 5rem; height: .75rem; margin-top: .35rem; }
.bar rect { fill: var(--mark); }
summary { margin: .75rem 0; cursor: pointer; color: var(--soft); }
ul { margin: 0; padding-left: 1.2rem; }
@media screen and (max-width: 48rem) { .o { display: none; } }
@page { size: landscape; margin: 12mm; }
@media print {
  :root { font-size: 10px; }
  body { max-width: none; padding: 0; font-size: 1rem; }
  .wide { overflow: visible; }
  th, td { padding: .25rem .35rem; }
  th { white-space: normal; }
  .w { min-width: 0; }
  .bar { display: none; }
}
"""

_WORDS = {
    "exact": ("", "every call is priced"),
    "estimated": (", estimated", "a price rests on an assumption, see the notes"),
    "lower_bound": (", at least", "some calls or rows have no price or no tokens, see below"),
}


def report_html(report: CostReport) -> str:
    """Return the report as one HTML document; every value from the log is escaped, no script is in it."""
    names, _ = columns(report)
    by = " and ".join(heading(name).lower() for name in names if name not in ("period", "resource") or len(names) == 2)
    sections = [_headline(report), _section(f"Cost by {by}", _costs(report))]
    if len(report.unpriced):
        sections.append(_section("Not in the total: no price", _unpriced(report)))
    if report.counts.total.rejected:
        sections.append(_section("Not in the total: rows that could not be read", _rejected(report)))
    if report.notes:
        notes = "\n".join(element("li", text(plain(note))) for note in report.notes)
        sections.append(_section("Notes", element("ul", notes)))
    sections.append(_section("Price rows used", _lines(report)))
    read = table(("Rows of the log", "Count"), [(words, whole(n)) for words, n in reading(report)], numeric=(1,))
    sections.append(_section("What was read", read + _files(report)))
    return page(f"Azure OpenAI cost {period(report)}", _STYLE, "\n".join(sections))


def _headline(report: CostReport) -> str:
    bound, meaning = _WORDS[report.certainty]
    money = f"{text(amount(report.total))} {element('small', text(report.currency + bound))}"
    calls = f"{whole(report.requests)} calls, {period(report)}; {meaning}."
    return element(
        "header",
        element("h1", "Azure OpenAI cost")
        + element("p", money, class_="total")
        + element("p", text(calls), class_="soft"),
    )


def _section(title: str, inner: str) -> str:
    # A box that scrolls must be reachable by the keyboard.
    box = element("div", inner, class_="wide", tabindex="0", role="region", aria_label=title)
    return element("section", element("h2", text(title)) + "\n" + box)


def _costs(report: CostReport) -> str:
    names, wholes = columns(report)
    largest = max((one for one in report.frame["cost"] if one is not None), default=Decimal(0))
    # A narrow screen shows what can be told from names and costs; the page still holds the counts.
    classes = {name: "n o" if name in OPTIONAL[:-1] else "n" for name in wholes}
    head = "".join(element("th", text(heading(name)), scope="col") for name in names)
    head += "".join(element("th", text(heading(name)), scope="col", class_=classes[name]) for name in wholes)
    head += element("th", text(f"Cost {report.currency}"), scope="col", class_="n") + element("td", "", class_="bar")
    body = []
    for row in rows(report.frame):
        cells = "".join(
            element("td", text(account(v) if n == "resource" else plain(v)))
            for n, v in ((n, getattr(row, n)) for n in names)
        )
        cells += "".join(element("td", text(whole(getattr(row, name))), class_=classes[name]) for name in wholes)
        cells += element("td", text(cost(row)), class_="n")
        share = float(row.cost / largest) if largest and row.cost is not None else 0.0
        bar = f'<rect width="{100 * share:.2f}" height="10"></rect>'
        svg = f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{bar}</svg>'
        body.append(element("tr", cells + element("td", svg, class_="bar")))
    legend = "" if report.frame["complete"].all() else element("p", text(GAP_LEGEND), class_="soft")
    return element("table", element("thead", element("tr", head)) + element("tbody", "\n".join(body))) + legend


def _unpriced(report: CostReport) -> str:
    cells = [
        (
            row.period,
            account(row.resource),
            plain(row.deployment),
            plain(row.model),
            meter(row),
            quantity(row.quantity, row.unit),
            plain(row.reason),
        )
        for row in rows(report.unpriced)
    ]
    headings = ("Period", "Resource", "Deployment", "Model", "Meter", "Quantity", "Reason")
    return table(headings, cells, numeric=(5,), wrapped=(6,))


def _rejected(report: CostReport) -> str:
    reasons = [(plain(reason), whole(count)) for reason, count in report.counts.reasons]
    cells = [
        (plain(row.line), plain(row.reason), plain(row.masked_row), plain(row.source_file))
        for row in rows(report.rejected.head(_SHOWN_REJECTED))
    ]
    n_rows = report.counts.total.rejected
    title = f"The rows: {whole(n_rows)}" if n_rows == len(cells) else f"The first {whole(len(cells))} rows"
    listed = table(("Line", "Reason", "Row, its content masked", "File"), cells, numeric=(0,), wrapped=(1, 2, 3))
    return table(("Reason", "Rows"), reasons, numeric=(1,), wrapped=(0,)) + _folded(title, listed, len(cells))


def _files(report: CostReport) -> str:
    files = report.counts.files
    cells = [
        (plain(one.source_file), *(whole(n) for _, n in account_of(one)), "yes" if one.complete else "no")
        for one in files
    ]
    headings = ("File", *(heading(words) for words, _ in account_of(report.counts.total)), "Read to its end")
    return _folded(f"File by file: {whole(len(files))}", table(headings, cells, numeric=range(1, 9), wrapped=(0,)), 0)


def _folded(title: str, inner: str, n_rows: int) -> str:
    """Return a part of the page that its reader unfolds; a short one is unfolded already."""
    is_open = {"open": ""} if 0 < n_rows <= _SHOWN_UNFOLDED else {}
    return element("details", element("summary", text(title)) + inner, **is_open)


def _lines(report: CostReport) -> str:
    cells = [
        (
            row.period,
            f"{account(row.resource)}/{plain(row.deployment)}",
            " ".join(plain(part) for part in (row.model, row.version) if part),
            meter(row) + (", long context" if row.band == "long" else ""),
            quantity(row.quantity, row.unit),
            f"{row.price} per {row.price_unit}",
            amount(row.amount),
            f"{row.meter_name} ({row.source})" if row.meter_name else row.source,
            "" if row.effective_from is None else row.effective_from,
        )
        for row in rows(report.lines)
    ]
    headings = ("Period", "Deployment", "Model", "Meter", "Quantity", "Price", "Amount", "Price row", "Since")
    return table(headings, cells, numeric=(4, 6), wrapped=(1, 2, 7))

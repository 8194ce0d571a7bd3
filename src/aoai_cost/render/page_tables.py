"""The tables of a report page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..markup import element, table, text
from .page_data import model_name
from .words import (
    COMPARED,
    GAP_LEGEND,
    OPTIONAL,
    account,
    account_of,
    amount,
    columns,
    comparison,
    cost,
    heading,
    meter,
    plain,
    quantity,
    reading,
    rows,
    share,
    whole,
)

if TYPE_CHECKING:
    from ..report import CostReport
    from ..report.facts import ReportFacts, Split

__all__ = ["report_tables", "section"]

_SHOWN_REJECTED = 1_000
_SHOWN_UNFOLDED = 20
_SHOWN_NAMES = 20
_LISTS = 16
"""How many parts the room has: each list may take one, long ones two, and the tables of amounts share what is left."""
_ROW_BYTES, _CELL_BYTES, _BAR_BYTES = 10, 19, 210
"""What the tags of a row, of a cell and of a bar take at most."""


def report_tables(report: CostReport, facts: ReportFacts, room: int) -> Iterable[str]:
    """Return the sections with tables, cut where they would take more than `room` bytes together."""
    part = room // _LISTS
    by_name, rest = list(_by_name(report, facts, part)), list(_rest(report, part))
    sources, read = _sources(report), section("What was read", _read(report, 2 * part))
    left = room - sum(len(one.encode()) for one in (*by_name, *rest, sources, read))
    names = [name for name in columns(report)[0] if name != "period"]
    by = [heading(name) for name in names if name != "resource" or len(names) == 1]
    words = " and ".join(one if one.isupper() else one.lower() for one in by)
    costs = section(f"Cost by {words}", _costs(report, left // 2))
    lines = section("Price rows used", _lines(report, left - len(costs.encode())) + sources)
    return (costs, *by_name, *rest, lines, read)


def _by_name(report: CostReport, facts: ReportFacts, part: int) -> Iterator[str]:
    for title, splits in (("model", facts.by_model), ("user", facts.by_user), ("app", facts.by_app)):
        if splits:
            yield section(f"Cost by {title}", _splits(report, title, splits, part))
    if facts.ptu:
        yield section("Use of provisioned throughput", _ptu(facts, part))
    if facts.retirements:
        yield section("Models that have retired, or will within a year", _retirements(facts, part))


def _rest(report: CostReport, part: int) -> Iterator[str]:
    if len(report.unpriced):
        yield section("Not in the total: no price", _unpriced(report, part))
    if report.counts.total.rejected:
        yield section("Not in the total: rows that could not be read", _rejected(report, 2 * part))
    if len(report.comparison):
        cells, left_out = _within(comparison(report), part)
        compared = table(COMPARED, cells, numeric=(3, 4, 5, 6), wrapped=(0, 1, 2)) + left_out
        yield section("Not in the total: calls that another source counts", compared)
    if report.notes:
        notes, left_out = _within([(plain(note),) for note in report.notes], part)
        listed = "\n".join(element("li", text(note)) for (note,) in notes)
        yield section("Notes", element("ul", listed) + left_out)


def _read(report: CostReport, part: int) -> str:
    read = table(("Rows of the log", "Count"), [(words, whole(n)) for words, n in reading(report)], numeric=(1,))
    return read + _files(report, part)


def _splits(report: CostReport, title: str, splits: Iterable[Split], room: int) -> str:
    # The cost comes first: it is what a narrow screen has room for.
    cells: Sequence[Any] = [(model_name(one), cost(one), whole(one.requests), whole(one.tokens)) for one in splits]
    headings = (heading(title), f"Cost {report.currency}", "Requests", "Tokens")
    cells, left_out = _within(cells, room, f"aoai-cost report --by {title}")
    return table(headings, cells, numeric=(1, 2, 3), wrapped=(0,)) + left_out


def _ptu(facts: ReportFacts, room: int) -> str:
    cells: Sequence[Any] = [
        (
            f"{account(one.resource)}/{plain(one.deployment)}",
            plain(one.model),
            whole(one.units),
            whole(one.days),
            "?" if one.share is None else share(one.share),
            one.reason or f"On average over all minutes; peaks are higher. Weights: {one.source}",
        )
        for one in facts.ptu
    ]
    cells, left_out = _within(cells, room, "report_facts(report).ptu")
    headings = ("Deployment", "Model", "PTUs", "Days", "Used", "")
    return table(headings, cells, numeric=(2, 3, 4), wrapped=(0, 5)) + left_out


def _retirements(facts: ReportFacts, room: int) -> str:
    cells: Sequence[Any] = [
        (
            one.retires,
            f"{plain(one.model)} {plain(one.version)}",
            _some(one.deployments),
            whole(one.requests),
        )
        for one in facts.retirements
    ]
    cells, left_out = _within(cells, room, "report_facts(report).retirements")
    headings = ("Retires", "Model", "Deployments", "Calls in the report")
    return table(headings, cells, numeric=(3,), wrapped=(2,)) + left_out


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(plain, names[:_SHOWN_NAMES]))
    more = len(names) - _SHOWN_NAMES
    return f"{shown} and {whole(more)} more" if more > 0 else shown


def _bytes_of(cells: Iterable[Any]) -> int:
    """Return what a row of a table takes at most."""
    return _ROW_BYTES + sum(len(text(plain(cell)).encode()) + _CELL_BYTES for cell in cells)


def _within(cells: Sequence[Any], room: int, where: str = "--json") -> tuple[Sequence[Any], str]:
    """Return the first rows that a page has room for, and what to say of the others."""
    for i, row in enumerate(cells):
        room -= _bytes_of(row)
        if room < 0:
            said = f"and {whole(len(cells) - i)} more; {where} lists them all"
            return cells[:i], element("p", text(said), class_="soft")
    return cells, ""


def section(title: str, inner: str) -> str:
    """Return a section of the page."""
    # A box that scrolls must be reachable by the keyboard.
    box = element("div", inner, class_="wide", tabindex="0", role="region", aria_label=title)
    return element("section", element("h2", text(title)) + "\n" + box)


def _costs(report: CostReport, room: int) -> str:
    names, wholes = columns(report)
    largest = max((one for one in report.frame["cost"] if one is not None), default=Decimal(0))
    # A narrow screen shows what can be told from names and costs; the page still holds the counts.
    classes = {name: "n o" if name in OPTIONAL else "n" for name in wholes}
    head = "".join(element("th", text(heading(name)), scope="col") for name in names)
    head += "".join(element("th", text(heading(name)), scope="col", class_=classes[name]) for name in wholes)
    head += element("th", text(f"Cost {report.currency}"), scope="col", class_="n") + element("td", "", class_="bar")
    body: list[str] = []
    shown = _costliest(report.frame, "cost", room, _BAR_BYTES)
    for row in rows(shown):
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
    legend += _left_out(report.frame, shown)
    inner = element("thead", element("tr", head)) + element("tbody", "\n".join(body))
    return element("table", inner, class_="costs") + legend


def _unpriced(report: CostReport, room: int) -> str:
    cells: Sequence[Any] = [
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
    cells, left_out = _within(cells, room)
    return table(headings, cells, numeric=(5,), wrapped=(6,)) + left_out


def _rejected(report: CostReport, room: int) -> str:
    reasons: Sequence[Any] = [(plain(reason), whole(count)) for reason, count in report.counts.reasons]
    cells: Sequence[Any] = [
        (plain(row.line), plain(row.reason), plain(row.masked_row), plain(row.source_file))
        for row in rows(report.rejected.head(_SHOWN_REJECTED))
    ]
    cells, _ = _within(cells, room)
    reasons, more_reasons = _within(reasons, room)
    n_rows = report.counts.total.rejected
    title = f"The rows: {whole(n_rows)}" if n_rows == len(cells) else f"The first {whole(len(cells))} rows"
    listed = table(("Line", "Reason", "Row, its content masked", "File"), cells, numeric=(0,), wrapped=(1, 2, 3))
    told = table(("Reason", "Rows"), reasons, numeric=(1,), wrapped=(0,)) + more_reasons
    return told + _folded(title, listed, len(cells))


def _files(report: CostReport, room: int) -> str:
    files = report.counts.files
    cells: Sequence[Any] = [
        (plain(one.source_file), *(whole(n) for _, n in account_of(one)), "yes" if one.complete else "no")
        for one in files
    ]
    headings = ("File", *(heading(words) for words, _ in account_of(report.counts.total)), "Read to its end")
    cells, left_out = _within(cells, room)
    listed = table(headings, cells, numeric=range(1, len(headings) - 1), wrapped=(0,)) + left_out
    return _folded(f"File by file: {whole(len(files))}", listed, 0)


def _folded(title: str, inner: str, n_rows: int) -> str:
    """Return a part of the page that its reader unfolds; a short one is unfolded already."""
    is_open = {"open": ""} if 0 < n_rows <= _SHOWN_UNFOLDED else {}
    return element("details", element("summary", text(title)) + inner, **is_open)


def _lines(report: CostReport, room: int) -> str:
    shown = _costliest(report.lines, "amount", room)
    cells = [
        (
            row.period,
            f"{account(row.resource)}/{plain(row.deployment)}",
            " ".join(plain(part) for part in (row.model, row.version) if part),
            meter(row) + (", long context" if row.band == "long" else ""),
            quantity(row.quantity, row.unit),
            _price(row),
            amount(row.amount),
            f"{row.meter_name} ({row.source})" if row.meter_name else row.source,
            "" if row.effective_from is None else row.effective_from,
        )
        for row in rows(shown)
    ]
    headings = ("Period", "Deployment", "Model", "Meter", "Quantity", "Price", "Amount", "Price row", "Since")
    return table(headings, cells, numeric=(4, 6), wrapped=(1, 2, 7)) + _left_out(report.lines, shown)


def _price(row: Any) -> str:
    """Return the price of a line, and beside it the list price that a discount was taken off."""
    listed = getattr(row, "list_price", None)
    discounted = f", list price {listed:f}" if listed not in (None, row.price) else ""
    return f"{row.price:f} per {row.price_unit}{discounted}"


def _sources(report: CostReport) -> str:
    """Return what the sources are that the price rows name."""
    known = {} if report.prices is None else report.prices.sources
    used = sorted({source for source in report.lines["source"] if source in known})
    cells = [(one, *(plain(known[one].get(part, "")) for part in ("title", "date", "licence"))) for one in used]
    return table(("Source", "What it is", "As of", "Licence"), cells, wrapped=(1, 3)) if cells else ""


def _costliest(frame: pd.DataFrame, column: str, room: int, more: int = 0) -> pd.DataFrame:
    """Return the rows of a frame, or those of the largest amounts where a page has no room for all."""
    amounts = [Decimal(-1) if one is None else one for one in frame[column]]
    records = list(rows(frame))
    kept = []
    for i in sorted(range(len(frame)), key=amounts.__getitem__, reverse=True):
        room -= _bytes_of(records[i]) + more
        if room < 0:
            break
        kept.append(i)
    return frame.iloc[sorted(kept)]


def _left_out(frame: pd.DataFrame, shown: pd.DataFrame) -> str:
    if len(shown) == len(frame):
        return ""
    said = f"These are the {whole(len(shown))} costliest of {whole(len(frame))} rows; --json lists them all."
    return element("p", text(said), class_="soft")

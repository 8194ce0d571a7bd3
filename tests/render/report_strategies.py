"""Reports by hand: any names, amounts with up to 40 places, and sums that are what a report promises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
from hypothesis import strategies as st
from strategies import any_texts

from aoai_cost import CostReport
from aoai_cost.logs import Counts, FileCounts
from aoai_cost.prices import Rate, exact_sum
from aoai_cost.prices.rows import UNITS
from aoai_cost.usage import METER_UNITS

NAMED = ("resource", "deployment", "model", "version", "sku", "region", "tier")
LINE = ("band", "meter", "modality", "variant", "quantity", "unit", "price", "list_price", "price_unit", "amount",
        "meter_name", "source", "effective_from")  # fmt: skip
HOSTILE = (
    "=1+1", " =1+1", "\t=1+1", "%=1", "a;=1+1", "a; -cmd|' /C calc'!A0", "'quoted'", '"=1"', "--1", "＝1+1", "-5",
    "\ufeff@SUM(1)", "\u200b+1", "a\nb", "|x|y|", "`|`@someone`", "<img src=x onerror=alert(1)>", "@someone",
    "![i](http://127.0.0.1/i.png)", "[l](http://127.0.0.1/)", "http://127.0.0.1/", "www.example.invalid", "#1",
    "</details>", "lone \ud800", "_x0041_", "\x1b[2J", "\u202egnp.exe", "x" * 300, "", " ", "a\\", "\\|", "$x$",
    "<!-- -->", "- 1", "1.", "&#64;someone", "**b**", "~~s~~", ":smile:", "http`://x", "mail@example.invalid",
)  # fmt: skip
METERS = (
    ("input", "1M tokens"),
    ("output", "1K tokens"),
    ("hosting", "1 hour"),
    ("ptu", "1 PTU-hour"),
    ("image", "1 image"),
)

names = st.sampled_from(HOSTILE) | any_texts.filter(lambda text: len(text) < 40)
optional_names = st.none() | names
days = st.dates(date(2026, 9, 28), date(2026, 11, 3))
prices = st.decimals("0", "500", places=6) | st.sampled_from([Decimal("2.50"), Decimal(0), Decimal("0.000001")])


@st.composite
def lines_of_days(draw: st.DrawFn) -> tuple[Any, ...]:
    meter, price_unit = draw(st.sampled_from(METERS))
    quantity, price = draw(st.integers(0, 10**14)), draw(prices)
    rate = Rate(price, price, UNITS[price_unit].quantity, price_unit, "USD", "", "", None, None, None, "exact", ())
    named = [draw(optional_names) for _ in range(len(NAMED) + 2)]
    what = (draw(st.sampled_from(["short", "long"])), meter, "text", "", quantity, METER_UNITS[meter])
    priced = (
        price,
        draw(st.just(price) | prices),
        price_unit,
        rate.cost(quantity),
        draw(names),
        draw(names),
        draw(st.none() | days),
    )
    return (draw(days), *named, *what, *priced)


@st.composite
def reports(draw: st.DrawFn) -> CostReport:
    found = draw(st.lists(lines_of_days(), max_size=6))
    unpriced = [
        ("2026-10", *(draw(optional_names) for _ in NAMED), "input", "text", "", draw(st.integers(1, 10**12)), "token",
         draw(names))
        for _ in range(draw(st.integers(0, 3)))
    ]  # fmt: skip
    return make_report(
        found, unpriced, reasons=draw(st.lists(names, max_size=3)), notes=draw(st.lists(names, max_size=3))
    )


def frame_of(records: Iterable[tuple[Any, ...]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(list(records), columns=list(columns), dtype=object)


def make_report(
    found: Sequence[tuple[Any, ...]],
    unpriced: Sequence[tuple[Any, ...]] = (),
    reasons: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> CostReport:
    """Return a report of lines by day, user and app; its other frames are their sums."""
    by_row: dict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
    by_line: dict[tuple[Any, ...], list[Any]] = {}
    amount, quantity = LINE.index("amount") + 10, LINE.index("quantity") + 10
    for line in found:
        month = line[0].isoformat()[:7]
        by_row[month, line[1], line[2]].append(line[amount])
        key = (month, *line[1:8], *line[10:quantity], *line[quantity + 1 : amount], *line[amount + 1 :])
        entry = by_line.setdefault(key, [0, []])
        entry[0] += line[quantity]
        entry[1].append(line[amount])
    n = quantity - 2
    lines = [(*key[:n], q, *key[n : n + 4], exact_sum(amounts), *key[n + 4 :]) for key, (q, amounts) in by_line.items()]
    counted = ("requests", "unmetered", "not_billed", "failed", "throttled", "spilled")
    tokens = ("input", "cached_input", "cache_write", "output")
    complete = not unpriced
    rows = [(*key, 1, 0, 0, 0, 0, 0, 10, 0, 0, 5, exact_sum(amounts), complete) for key, amounts in by_row.items()]
    frame = frame_of(rows, ("period", "resource", "deployment", *counted, *tokens, "cost", "complete"))
    rejected = [(reason, 1, None, reason, reason) for reason in reasons]
    files = (FileCounts(reasons[0], rows=len(reasons), rejected=len(reasons)),) if reasons else ()
    first = min((line[0] for line in found), default=None)
    return CostReport(
        frame=frame.astype(dict.fromkeys((*counted, *tokens), "int64") | {"complete": "bool"}),
        lines=frame_of(lines, ("period", *NAMED, *LINE)),
        total=exact_sum(line[amount] for line in found),
        currency="USD",
        certainty="lower_bound" if unpriced or reasons else "exact",
        unpriced=frame_of(unpriced, ("period", *NAMED, "meter", "modality", "variant", "quantity", "unit", "reason")),
        rejected=frame_of(rejected, ("source_file", "line", "offset", "reason", "masked_row")),
        counts=Counts(files, tuple((reason, 1) for reason in reasons)),
        files_complete=True,
        period=None if first is None else (first, max(line[0] for line in found) + timedelta(days=1)),
        notes=tuple(notes),
        days=frame_of(found, ("day", *NAMED, "user", "app", *LINE)),
    )


def line(name: str | None, **more: Any) -> tuple[Any, ...]:
    """Return one line of a day whose every name is the same."""
    facts = {
        "band": "short", "meter": "input", "modality": "text", "variant": "", "quantity": 1_000_000, "unit": "token",
        "price": Decimal("2.50"), "list_price": Decimal("2.50"), "price_unit": "1M tokens", "amount": Decimal("2.50"),
        "meter_name": name, "source": name, "effective_from": date(2024, 11, 1),
    }  # fmt: skip
    return (date(2026, 10, 14), *[name] * (len(NAMED) + 2), *(facts | more).values())


def named_report(name: str) -> CostReport:
    """Return a report in which everything that a log or a sheet names has one name."""
    unpriced = [("2026-10", *[name] * len(NAMED), "input", "text", "", 7, "token", name)]
    return make_report([line(name)], unpriced, [name], [name])

"""A forecast for the terminal, as plain data, and held against a budget in one sentence."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .json_file import plain_value, records
from .words import amount, plain, whole

if TYPE_CHECKING:
    from ..forecasts import Forecast

__all__ = ["budget_sentence", "forecast_json", "forecast_table"]

SCHEMA = "aoai_cost.forecast/1"


def forecast_json(found: Forecast, budget: Decimal | None = None) -> dict[str, Any]:
    """Return all of it as plain data, amounts as texts; with a budget, also what exceeds it."""
    return {
        "schema": SCHEMA,
        "period": [day.isoformat() for day in found.period],
        "on": found.on.isoformat(),
        "spent": plain_value(found.spent),
        "expected": plain_value(found.expected),
        "low": plain_value(found.low),
        "high": plain_value(found.high),
        "currency": found.currency,
        "level": found.level,
        "coverage": dict(zip(("held", "tried"), found.coverage, strict=True)),
        "method": found.method,
        "certainty": found.certainty,
        "budget": plain_value(budget),
        "exceeds": None if budget is None else found.exceeds(budget),
        "days": records(found.days),
        "notes": list(found.notes),
    }


def forecast_table(found: Forecast, budget: Decimal | None = None) -> RenderableType:
    """Return a rich renderable: what is spent and expected, the interval and how often it held, and notes."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column(found.currency, justify="right")
    table.add_row(f"Spent by {found.on}", amount(found.spent))
    table.add_row(f"Expected by {_last_day(found)}", Text(amount(found.expected), style="bold"))
    level = f"{found.level * 100:g} %"
    if found.low is not None and found.high is not None:
        table.add_row(f"Interval at {level}", f"{amount(found.low)} to {amount(found.high)}")
    if budget is not None:
        table.add_row("Budget", amount(budget))
    bound = ", at least" if found.certainty == "lower_bound" else ""
    parts: list[RenderableType] = [
        Text(f"Azure OpenAI cost, forecast from {found.period[0]} to {_last_day(found)} (UTC){bound}", style="bold"),
        table,
    ]
    if budget is not None:
        parts += [Text(budget_sentence(found, budget), style="yellow" if found.exceeds(budget) else ""), ""]
    held, tried = found.coverage
    if tried:
        parts.append(Text(f"On the log's own history such intervals held {whole(held)} of {whole(tried)} times."))
    parts.append(Text(f"What is not known ahead: {found.method}."))
    parts += [Text(f"note: {plain(note)}") for note in found.notes]
    return Group(*parts)


def budget_sentence(found: Forecast, budget: Decimal) -> str:
    """Say whether a budget is kept, will be, or may be."""
    limit = f"the budget of {amount(budget)} {found.currency}"
    last = _last_day(found)
    exceeds = found.exceeds(budget)
    if exceeds == "spent":
        return f"{limit} is exceeded: {amount(found.spent)} are spent by {found.on}"
    if exceeds == "expected":
        return f"{limit} will be exceeded: {amount(found.expected)} are expected by {last}"
    if exceeds == "possible" and found.high is not None:
        return f"{limit} may be exceeded: the interval reaches up to {amount(found.high)} by {last}"
    return f"{limit} is kept by the forecast" + ("" if found.high is None else " and by its interval")


def _last_day(found: Forecast) -> str:
    return (found.period[1] - timedelta(days=1)).isoformat()

"""``aoai-cost forecast``."""

from __future__ import annotations

import sys
from datetime import date
from decimal import Decimal
from typing import Unpack

import click

from . import options, reading
from .output import EXIT_INCOMPLETE, EXIT_OVER_BUDGET, command, fail, print_json, print_rich

__all__ = ["forecast"]

# The surest first.
_ALARMS = ("spent", "expected", "possible")


@click.command()
@reading.logs
@reading.since
@click.option(
    "--on",
    metavar="DATE",
    callback=options.day,
    help="The day that may not be over (default: the last day of the log); later ones are left out.",
)
@click.option(
    "--until",
    "end",
    metavar="DATE",
    callback=options.day,
    help="The day before which the period ends (default: the first of the next month).",
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
    help="The share of intervals that are to hold the total.",
)
@click.option("--budget", metavar="AMOUNT", callback=options.budget, help="What the period may cost.")
@click.option(
    "--alarm",
    type=click.Choice(_ALARMS),
    default="expected",
    show_default=True,
    help="End with exit code 4 once the budget is spent, is expected to be exceeded, or may be (above the interval's "
    "upper end).",
)
@reading.working
@command
def forecast(
    on: date | None,
    end: date | None,
    level: float,
    budget: tuple[Decimal, str | None] | None,
    alarm: str,
    as_json: bool,
    **asked: Unpack[reading.ReadingOptions],
) -> None:
    """Forecast what the last month of usage LOGS will have cost at its end, with an interval tried on the logs' past.

    LOGS should begin two months or more before; --work keeps what was read of them for the next time.
    docs/forecast.md says how the forecast is made.

    \b
    Example:
      aoai-cost forecast examples/logs --deployments examples/deployments.toml --budget 20000 --alarm expected
    """
    from ..forecasts import forecast
    from ..render import budget_sentence, forecast_json, forecast_table
    from ..report import cost_report

    with reading.given(asked) as log:
        most = options.budget_in(log.prices.currency, budget)
        report = cost_report(log.logs, deployments=log.deployments, prices=log.prices, **log.options)
    found = forecast(report, on=on, until=end, level=level)
    if as_json:
        print_json(forecast_json(found, most))
    else:
        print_rich(forecast_table(found, most))
    exceeds = "" if most is None else found.exceeds(most)
    if most is not None and exceeds and _ALARMS.index(exceeds) <= _ALARMS.index(alarm):
        fail(budget_sentence(found, most), EXIT_OVER_BUDGET)
    if most is not None and alarm == "possible" and found.high is None:
        click.echo("note: without an interval nobody can tell whether the budget may be exceeded", err=True)
    if found.certainty == "lower_bound":
        sys.exit(EXIT_INCOMPLETE)

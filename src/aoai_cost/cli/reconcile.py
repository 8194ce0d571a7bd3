"""``aoai-cost reconcile``."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from .output import EXIT_INCOMPLETE, command, fail, print_json, print_rich, read_text

__all__ = ["reconcile"]


@click.command()
@click.argument("bills", nargs=-1, type=click.Path())
@click.option(
    "--report", required=True, type=click.Path(), help="What `report --every day --json` printed, or - for stdin."
)
@click.option(
    "--billing", multiple=True, type=click.Path(), help="An export of Cost Management, or a folder; as BILLS are."
)
@click.option(
    "--view",
    type=click.Choice(["actual", "amortized"]),
    help="Which view counts, if the bill has both: as invoiced, or reservations spread over what they cover.",
)
@click.option(
    "--dates",
    type=click.Choice(["auto", "mdy", "dmy"]),
    default="auto",
    show_default=True,
    help="How dates with slashes are written: month first, day first, or as the column tells.",
)
@command
def reconcile(
    bills: tuple[str, ...], report: str, billing: tuple[str, ...], view: Any, dates: Any, as_json: bool
) -> None:
    """Hold what Azure billed (exports of Cost Management) against a report of the log.

    \b
    Example:
      aoai-cost report examples/logs --deployments examples/deployments.toml --every day --json > report.json
      aoai-cost reconcile --report report.json --billing examples/bill.csv
    """
    paths = [*billing, *bills]
    if not paths:
        raise click.UsageError("name an export of Cost Management, with --billing or at the end")
    from ..billing import reconcile
    from ..render import reconciliation_json, reconciliation_table

    told: Any = report
    if report == "-":
        try:
            told = json.loads(read_text("-"))
        except ValueError:
            fail("stdin is no JSON; make it with `aoai-cost report ... --every day --json`")
    found = reconcile(told, *paths, view=view, dates=dates)
    if as_json:
        print_json(reconciliation_json(found))
    else:
        print_rich(reconciliation_table(found))
    if not found.complete:
        sys.exit(EXIT_INCOMPLETE)

"""``aoai-cost report``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from . import options
from .output import EXIT_INCOMPLETE, command, print_json, print_rich

__all__ = ["report"]


def _refuse_overwriting(outputs: Sequence[str], inputs: Sequence[str | None]) -> None:
    """End before anything is read, if a report would be written over what it is made from or over another report."""
    places = [Path(path).resolve() for path in outputs]
    if len(set(places)) < len(places):
        raise click.UsageError(f"--html and --csv both name {outputs[0]}")
    read = {Path(path).resolve() for path in inputs if path}
    for path, place in zip(outputs, places, strict=True):
        if place.is_file() and not read.isdisjoint((place, *place.parents)):
            raise click.UsageError(f"{path} is read for this report and would be overwritten")


@click.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path())
@click.option("--deployments", type=click.Path(), help="What each deployment is: TOML, or the JSON of az.")
@options.priced
@click.option(
    "--format",
    "log_format",
    callback=options.log_format,
    default="auto",
    show_default=True,
    help="auto, or the one format that counts: azure-monitor, openai-response, ...; docs/log-formats.md lists them.",
)
@click.option(
    "--by",
    callback=options.columns,
    default="deployment",
    show_default=True,
    help="Columns to split by, with commas between: resource, deployment, model, version, sku, region, tier.",
)
@click.option("--every", type=click.Choice(["month", "day"]), default="month", show_default=True, help="The period.")
@click.option("--since", callback=options.moment, help="Only calls from this day or time on, UTC.")
@click.option("--until", callback=options.moment, help="Only calls before this day or time, UTC.")
@click.option(
    "--html", type=click.Path(dir_okay=False), callback=options.output_path, help="Write the report as a page."
)
@click.option("--csv", type=click.Path(dir_okay=False), callback=options.output_path, help="Write the report's rows.")
@command
def report(
    logs: tuple[str, ...],
    deployments: str | None,
    sheets: tuple[str, ...],
    currency: str | None,
    log_format: str,
    by: list[str],
    every: Any,
    since: datetime | None,
    until: datetime | None,
    html: str | None,
    csv: str | None,
    as_json: bool,
) -> None:
    """Turn usage LOGS (files, folders, or URLs of a storage account) into costs per deployment and month.

    A URL is abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/FOLDER; what opens it is read from AZURE_STORAGE_* variables.

    \b
    Example:
      aoai-cost report examples/logs --deployments examples/deployments.toml --html report.html
      aoai-cost report examples/logs --deployments examples/deployments.toml --since 2026-10-13 --until 2026-10-14
    """
    from ..catalog import read_deployments
    from ..logs import read_usage
    from ..render import report_json, report_table, write_report
    from ..report import cost_report

    _refuse_overwriting([path for path in (html, csv) if path is not None], [*logs, deployments, *sheets])
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until")
    known = read_deployments(deployments) if deployments is not None else None
    prices = options.price_book(sheets, currency)
    log = read_usage(*logs, format=log_format, since=since, until=until)
    result = cost_report(log, deployments=known, prices=prices, by=by, every=every)
    if as_json:
        print_json(report_json(result))
    else:
        print_rich(report_table(result))
    for form, path in (("html", html), ("csv", csv)):
        if path is not None:
            write_report(result, path, form)
            click.echo(f"wrote {path}", err=True)
    if result.certainty == "lower_bound":
        sys.exit(EXIT_INCOMPLETE)

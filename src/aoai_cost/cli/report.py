"""``aoai-cost report``."""

from __future__ import annotations

import sys
from typing import Any, Unpack

import click

from . import options, reading
from .output import EXIT_INCOMPLETE, command, print_json, print_rich

__all__ = ["report"]


@click.command()
@reading.logs
@click.option(
    "--by",
    callback=options.by,
    default="deployment",
    show_default=True,
    help="Columns to split by, with commas between: resource, deployment, model, version, sku, region, tier.",
)
@click.option("--every", type=click.Choice(["month", "day"]), default="month", show_default=True, help="The period.")
@reading.since
@reading.until
@click.option(
    "--html", type=click.Path(dir_okay=False), callback=options.output_path, help="Write the report as a page."
)
@click.option("--csv", type=click.Path(dir_okay=False), callback=options.output_path, help="Write the report's rows.")
@reading.working
@command
def report(
    by: list[str],
    every: Any,
    html: str | None,
    csv: str | None,
    as_json: bool,
    **asked: Unpack[reading.ReadingOptions],
) -> None:
    """Turn usage LOGS (files, folders, or URLs of a storage account) into costs per deployment and month.

    A URL is abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/FOLDER; what opens it is read from AZURE_STORAGE_* variables.

    \b
    Examples:
      aoai-cost report examples/logs --deployments examples/deployments.toml --html report.html
      aoai-cost report examples/logs --rejects rejects.jsonl
      aoai-cost report examples/logs --deployments examples/deployments.toml --since 2026-10-13 --until 2026-10-14
    """
    from ..render import report_json, report_table, write_report
    from ..report import cost_report

    with reading.given(asked, {"--html": html, "--csv": csv}) as log:
        result = cost_report(
            log.logs, deployments=log.deployments, prices=log.prices, by=by, every=every, **log.options
        )
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

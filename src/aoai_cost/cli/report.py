"""``aoai-cost report``."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any, Unpack

import click

from ..errors import MissingExtraError, RequestError
from . import options, reading
from .output import EXIT_INCOMPLETE, EXIT_OVER_BUDGET, command, fail, print_json, print_rich

__all__ = ["report"]


def _report_paths(ctx: click.Context, param: click.Parameter, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse, before anything is read, a path whose suffix is that of no form of a report."""
    from ..render import writer_of

    for path in paths:
        try:
            writer_of(path)
        except RequestError as error:
            raise click.BadParameter(f"{path}: {error.reason}" if path else "the path is empty", ctx, param) from None
        except MissingExtraError as error:
            fail(error)
    return tuple(dict.fromkeys(paths))


@click.command()
@reading.logs
@click.option(
    "--by",
    callback=options.by,
    default="deployment",
    show_default=True,
    help="What to split by, with commas between: resource, deployment, model, version, sku, region, tier, user, app.",
)
@click.option("--every", type=click.Choice(["month", "day"]), default="month", show_default=True, help="The period.")
@reading.since
@reading.until
@click.option(
    "--html", type=click.Path(dir_okay=False), callback=options.output_path, help="Write the report as a page."
)
@click.option("--csv", type=click.Path(dir_okay=False), callback=options.output_path, help="Write the report's rows.")
@click.option(
    "--write",
    "written",
    multiple=True,
    metavar="PATH",
    type=click.Path(dir_okay=False),
    callback=_report_paths,
    help="Write the report as the suffix says: .xlsx, .parquet, .md, .json, .html, .csv, or .focus.csv for rows of a "
    "FOCUS bill; may be repeated.",
)
@click.option(
    "--budget", metavar="AMOUNT", callback=options.budget, help="End with exit code 4 if the total is over this amount."
)
@reading.working
@command
def report(
    by: list[str],
    every: Any,
    html: str | None,
    csv: str | None,
    written: tuple[str, ...],
    budget: tuple[Decimal, str | None] | None,
    as_json: bool,
    **asked: Unpack[reading.ReadingOptions],
) -> None:
    """Turn usage LOGS (files, folders, or URLs of a storage account) into costs per deployment and month.

    A URL is abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/FOLDER; what opens it is read from AZURE_STORAGE_* variables.

    \b
    Examples:
      aoai-cost report examples/logs --deployments examples/deployments.toml --html report.html
      aoai-cost report examples/logs --deployments examples/deployments.toml --write report.xlsx --write report.md
      aoai-cost report examples/logs --rejects rejects.jsonl
      aoai-cost report examples/logs --deployments examples/deployments.toml --since 2026-10-13 --until 2026-10-14
    """
    from ..render import report_json, report_table, write_report
    from ..report import cost_report

    outputs = {"--html": html, "--csv": csv, **{f"--write {path}": path for path in written}}
    with reading.given(asked, outputs) as log:
        most = options.budget_in(log.prices.currency, budget)
        result = cost_report(
            log.logs, deployments=log.deployments, prices=log.prices, by=by, every=every, **log.options
        )
    if as_json:
        print_json(report_json(result))
    else:
        print_rich(report_table(result))
    for form, path in (("html", html), ("csv", csv), *((None, path) for path in written)):
        if path is not None:
            write_report(result, path, form)
            click.echo(f"wrote {path}", err=True)
    if most is not None and result.total > most:
        fail(f"the total of {result.total:f} {result.currency} is over the budget of {most:f}", EXIT_OVER_BUDGET)
    if result.certainty == "lower_bound":
        sys.exit(EXIT_INCOMPLETE)

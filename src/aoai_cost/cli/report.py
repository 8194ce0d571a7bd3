"""``aoai-cost report``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import click

from ..errors import RequestError
from . import options
from .output import EXIT_INCOMPLETE, command, print_json, print_rich
from .progress import progress_bar

__all__ = ["report"]


def _refuse_overwriting(outputs: Iterable[tuple[str, str]], inputs: Iterable[str | None]) -> None:
    """End before anything is read, if an output would be written over what it is made from or over another one."""
    places = [(option, path, Path(path).resolve()) for option, path in outputs]
    for (one, path, place), (other, _, other_place) in combinations(places, 2):
        if place == other_place:
            named = f"{one} and {other} both name" if one != other else f"{one} names twice"
            raise click.UsageError(f"{named} {path}")
    read = {Path(path).resolve() for path in inputs if path}
    for _, path, place in places:
        if place.is_file() and not read.isdisjoint((place, *place.parents)):
            raise click.UsageError(f"{path} is read for this report and would be overwritten")


def _refuse_unknown_forms(paths: Iterable[str]) -> None:
    """End before anything is read, if a report cannot be written as the suffix of a path says."""
    from ..render import writer_of

    for path in paths:
        try:
            writer_of(path)
        except RequestError as error:
            raise click.UsageError(f"--write {path}: {error.reason}") from None


@contextmanager
def _told_how_to_go_on(work: str | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if work is not None:
            click.echo(f"interrupted; the same command goes on from what is in {work}", err=True)
        raise


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    "--columns",
    "columns",
    multiple=True,
    callback=options.column_map,
    help="Any other table: which of its columns holds what, prompt_tokens=in_tok,timestamp=when; may be repeated.",
)
@click.option("--default-deployment", metavar="NAME", help="The deployment of calls in logs that never name it.")
@click.option("--default-resource", metavar="NAME", help="The resource of calls in logs that never name it.")
@click.option("--strict", is_flag=True, help="End at the first row that cannot be read, instead of listing it.")
@click.option(
    "--by",
    callback=options.by,
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
@click.option(
    "--write",
    "written",
    multiple=True,
    metavar="PATH",
    type=click.Path(dir_okay=False),
    help="Write the report as the suffix says: .xlsx, .parquet, .md, .json, .html, .csv, or .focus.csv for rows of a "
    "FOCUS bill; may be repeated.",
)
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False),
    callback=options.output_path,
    help="Write every row that could not be read, its content masked, as JSON lines.",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=_processors,
    show_default="one for each processor",
    help="So many read at once; files with a record per line are shared out in sections.",
)
@click.option(
    "--work",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Keep what was read in this folder: the same command goes on there after an interruption, and later reads "
    "only what is new or changed.",
)
@command
def report(
    logs: tuple[str, ...],
    deployments: str | None,
    sheets: tuple[str, ...],
    currency: str | None,
    log_format: str,
    columns: Mapping[str, str] | None,
    default_deployment: str | None,
    default_resource: str | None,
    strict: bool,
    by: list[str],
    every: Any,
    since: datetime | None,
    until: datetime | None,
    html: str | None,
    csv: str | None,
    written: tuple[str, ...],
    rejects: str | None,
    processes: int,
    work: str | None,
    as_json: bool,
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
    from ..catalog import read_deployments
    from ..render import report_json, report_table, write_report
    from ..report import cost_report

    outputs = [("--html", html), ("--csv", csv), ("--rejects", rejects), *(("--write", path) for path in written)]
    _refuse_overwriting([(name, path) for name, path in outputs if path], [*logs, deployments, *sheets])
    _refuse_unknown_forms(written)
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until")
    known = read_deployments(deployments) if deployments is not None else None
    prices = options.price_book(sheets, currency)
    with progress_bar() as progress, _told_how_to_go_on(work):
        result = cost_report(
            logs,
            deployments=known,
            prices=prices,
            by=by,
            every=every,
            format=log_format,
            columns=columns,
            deployment=default_deployment,
            resource=default_resource,
            strict=strict,
            since=since,
            until=until,
            rejects=rejects,
            processes=processes,
            work=work,
            progress=progress,
        )
    if rejects is not None:
        click.echo(f"wrote {rejects}", err=True)
    if as_json:
        print_json(report_json(result))
    else:
        print_rich(report_table(result))
    for form, path in (("html", html), ("csv", csv), *((None, path) for path in written)):
        if path is not None:
            write_report(result, path, form)
            click.echo(f"wrote {path}", err=True)
    if result.certainty == "lower_bound":
        sys.exit(EXIT_INCOMPLETE)

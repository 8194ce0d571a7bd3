"""How a command reads logs: the options for it, and what they come to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

import click

from . import options
from .progress import progress_bar

if TYPE_CHECKING:
    from ..catalog import Deployments
    from ..logs.reader import ReadOptions
    from ..prices import PriceBook

__all__ = ["Reading", "ReadingOptions", "given", "logs", "since", "until", "working"]


class ReadingOptions(TypedDict):
    """What `logs`, `working`, and, where the command has them, `since` and `until` give a command."""

    logs: tuple[str, ...]
    deployments: str | None
    sheets: tuple[str, ...]
    currency: str | None
    log_format: str
    columns: Mapping[str, str] | None
    default_deployment: str | None
    default_resource: str | None
    strict: bool
    since: NotRequired[datetime | None]
    until: NotRequired[datetime | None]
    rejects: str | None
    processes: int
    work: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the options come to, in the words of `cost_report` and `sum_usage`."""

    logs: tuple[str, ...]
    deployments: Deployments | None
    prices: PriceBook
    options: ReadOptions


def logs(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command LOGS and the options that say what is in them and what it costs."""
    for decorate in reversed(_LOGS):
        function = decorate(function)
    return function


def working(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where reading leaves things, and how much it may use."""
    for decorate in reversed(_WORKING):
        function = decorate(function)
    return function


@contextmanager
def given(asked: ReadingOptions, outputs: Mapping[str, str | None] | None = None) -> Iterator[Reading]:
    """Give what the options come to, for the time in which the logs are read: with a bar, and with words at the end.

    Parameters
    ----------
    asked : ReadingOptions
        The values of the command's options.
    outputs : mapping, optional
        The paths that the command will write to, by option.
    """
    from ..catalog import read_deployments

    rejects, work = asked["rejects"], asked["work"]
    since, until = asked.get("since"), asked.get("until")
    written = {**(outputs or {}), "--rejects": rejects}
    _refuse_overwriting({name: path for name, path in written.items() if path}, asked)
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until")
    known = read_deployments(asked["deployments"]) if asked["deployments"] is not None else None
    prices = options.price_book(asked["sheets"], asked["currency"])
    with progress_bar() as progress, _told_how_to_go_on(work):
        yield Reading(
            asked["logs"],
            known,
            prices,
            {
                "format": asked["log_format"],
                "columns": asked["columns"],
                "deployment": asked["default_deployment"],
                "resource": asked["default_resource"],
                "strict": asked["strict"],
                "since": since,
                "until": until,
                "rejects": rejects,
                "processes": asked["processes"],
                "work": work,
                "progress": progress,
            },
        )
    if rejects is not None:
        click.echo(f"wrote {rejects}", err=True)


def _refuse_overwriting(outputs: Mapping[str, str], asked: ReadingOptions) -> None:
    """End before anything is read, if an output would be written over what it is made from or over another one."""
    places = {option: Path(path).resolve() for option, path in outputs.items()}
    for one, other in combinations(places, 2):
        if places[one] == places[other]:
            raise click.UsageError(f"{one} and {other} both name {outputs[one]}")
    read = {Path(path).resolve() for path in (*asked["logs"], asked["deployments"], *asked["sheets"]) if path}
    for option, place in places.items():
        if place.is_file() and not read.isdisjoint((place, *place.parents)):
            raise click.UsageError(f"{outputs[option]} is read for this report and would be overwritten")


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


_LOGS = (
    click.argument("logs", nargs=-1, required=True, type=click.Path()),
    click.option("--deployments", type=click.Path(), help="What each deployment is: TOML, or the JSON of az."),
    options.priced,
    click.option(
        "--format",
        "log_format",
        callback=options.log_format,
        default="auto",
        show_default=True,
        help="auto, or the one format that counts: azure-monitor, openai-response, ...; docs/log-formats.md lists "
        "them.",
    ),
    click.option(
        "--columns",
        "columns",
        multiple=True,
        callback=options.column_map,
        help="Any other table: which of its columns holds what, prompt_tokens=in_tok,timestamp=when; may be repeated.",
    ),
    click.option("--default-deployment", metavar="NAME", help="The deployment of calls in logs that never name it."),
    click.option("--default-resource", metavar="NAME", help="The resource of calls in logs that never name it."),
    click.option("--strict", is_flag=True, help="End at the first row that cannot be read, instead of listing it."),
)

since = click.option(
    "--since", metavar="DATE", callback=options.moment, help="Only calls from this day or time on, UTC."
)
until = click.option(
    "--until", metavar="DATE", callback=options.moment, help="Only calls before this day or time, UTC."
)

_WORKING = (
    click.option(
        "--rejects",
        type=click.Path(dir_okay=False),
        callback=options.output_path,
        help="Write every row that could not be read, its content masked, as JSON lines.",
    ),
    click.option(
        "--processes",
        type=click.IntRange(min=1),
        default=_processors,
        show_default="one for each processor",
        help="So many read at once; files with a record per line are shared out in sections.",
    ),
    click.option(
        "--work",
        type=click.Path(file_okay=False),
        metavar="FOLDER",
        help="Keep what was read in this folder: the same command goes on there after an interruption, and later reads "
        "only what is new or changed.",
    ),
)

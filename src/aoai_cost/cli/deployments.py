"""``aoai-cost deployments``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..errors import DeploymentsError
from .output import EXIT_FAILED, EXIT_INCOMPLETE, command, print_json, read_text, shown_path

if TYPE_CHECKING:
    from ..catalog import Examination

__all__ = ["deployments"]

_HEAD = """\
# Written by `aoai-cost deployments import`. Fill in the lines that begin with # where you know better than Azure says:
# active_from is the day on which it was created; set it, unless something else had its name and place before.
"""


@click.group()
def deployments() -> None:
    """Write and check the file that says what each deployment is."""


@deployments.command("import")
@click.argument("files", nargs=-1, required=True)
@command
def import_deployments(files: tuple[str, ...], as_json: bool) -> None:
    """Turn the JSON of the az tool in FILES, or in stdin (-), into a deployments file on stdout.

    FILES hold what `az cognitiveservices account deployment list -o json` prints, for one account or several, and for
    the regions what `az cognitiveservices account list -o json` prints. What cannot be used is listed on stderr, and
    the exit code is then 3.

    \b
    Example:
      aoai-cost deployments import examples/az-deployments.json > deployments.toml
    """
    from ..catalog import deployments_toml

    found = _examine(files)
    if as_json:
        print_json(_data(found))
    else:
        click.echo(f"{_HEAD}\n{deployments_toml(found)}".rstrip())
    unplaced = sum(deployment.region is None for deployment in found.deployments)
    if unplaced:
        advice = "`az cognitiveservices account list -o json` tells the regions; give its output too"
        click.echo(f"note: deployments without a region: {unplaced}; {advice}", err=True)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    for problem in found.problems:
        click.echo(f"left out: {problem}", err=True)
    click.echo(f"deployments: {len(found.deployments)}, left out: {len(found.problems)}", err=True)
    if found.problems:
        sys.exit(EXIT_INCOMPLETE)


@deployments.command("check")
@click.argument("files", nargs=-1, required=True)
@command
def check_deployments(files: tuple[str, ...], as_json: bool) -> None:
    """List all that is wrong with deployments FILES, or with stdin (-); exit with 1 if anything is.

    \b
    Example:
      aoai-cost deployments check examples/deployments.toml
    """
    found = _examine(files)
    if as_json:
        print_json(_data(found))
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if not as_json:
        for problem in found.problems:
            click.echo(str(problem))
        click.echo(f"deployments: {len(found.deployments)}, problems: {len(found.problems)}")
    if found.problems:
        sys.exit(EXIT_FAILED)


def _examine(files: tuple[str, ...]) -> Examination:
    from ..catalog import examine_deployments

    if files.count("-") > 1:
        raise click.UsageError("stdin (-) can be read once")
    return examine_deployments(_texts(files))


def _texts(files: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    from .. import tomlfile

    for path in files:
        text = read_text(path).removeprefix("\ufeff") if path == "-" else tomlfile.read_text(path, DeploymentsError)
        yield shown_path(path), text


def _data(found: Examination) -> dict[str, Any]:
    return {
        "deployments": [asdict(deployment) for deployment in found.deployments],
        "problems": [{"path": one.path, "entry": one.entry, "reason": one.reason} for one in found.problems],
        "notes": found.notes,
    }

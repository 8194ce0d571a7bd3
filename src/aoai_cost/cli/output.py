"""How commands speak: results on stdout, the rest on stderr, errors as one line and an exit code."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..errors import AoaiCostError, BudgetExceeded

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "EXIT_FAILED",
    "EXIT_INCOMPLETE",
    "EXIT_OVER_BUDGET",
    "command",
    "fail",
    "print_json",
    "print_records",
    "print_rich",
    "print_table",
    "read_text",
    "shown_path",
]

EXIT_FAILED, EXIT_INCOMPLETE, EXIT_OVER_BUDGET = 1, 3, 4
_PLAIN_WIDTH = 160
_LEAST_WRAPPED = 16


def fail(error: Exception | str, code: int = EXIT_FAILED) -> NoReturn:
    """End the command with one line on stderr."""
    if isinstance(error, OSError) and not isinstance(error, AoaiCostError) and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    click.echo(f"error: {error}", err=True)
    sys.exit(code)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--json`` and turn the package's errors into one line and exit code 1."""

    @wraps(function)
    def run(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
        except BudgetExceeded as error:
            fail(error, EXIT_OVER_BUDGET)
        except BrokenPipeError:
            raise  # the reader has seen enough; click ends quietly
        except (AoaiCostError, OSError) as error:
            fail(error)

    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(run)


def print_json(data: Any) -> None:
    """Print data as JSON on stdout: amounts and dates as text."""
    # ASCII alone: valid whatever the encoding of the stream, with any name and any whole number in it.
    click.echo(json.dumps(data, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in the output")


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PLAIN_WIDTH


def print_rich(renderable: RenderableType) -> None:
    """Print what rich renders; to a file or a pipe at a fixed width."""
    from rich.console import Console

    Console(width=_width(), highlight=False, emoji=False, markup=False, soft_wrap=False).print(renderable)


def print_records(columns: Sequence[str], records: Sequence[Mapping[str, object]], wrap: Sequence[str]) -> None:
    """Print records as a table, without columns that say nothing; what all say alike stands once, above it.

    Parameters
    ----------
    columns : sequence of str
        The keys to show, in order; underscores are shown as blanks.
    records : sequence of mapping
        Values are text, None is an empty one.
    wrap : sequence of str
        The columns whose text may go over several lines.
    """
    if not records:
        return
    alike = [one for one in columns if len(records) > 1 and len({str(record[one]) for record in records}) == 1]
    for name in alike:
        if records[0][name]:
            click.echo(f"{name.replace('_', ' ')}: {records[0][name]}")
    used = [one for one in columns if one not in alike and any(record[one] for record in records)]
    widest = {name: max(len(name), *(len(str(record[name] or "")) for record in records)) + 3 for name in used}
    needed = sum(_LEAST_WRAPPED if name in wrap else width for name, width in widest.items())
    # Where not even the rest has room, all columns are broken into lines, and nothing is cut off.
    fixed = [i for i, name in enumerate(used) if name not in wrap] if needed <= _width() else []
    print_table(
        [name.replace("_", " ") for name in used], [[record[name] for name in used] for record in records], (), fixed
    )


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[object]],
    numeric: Sequence[int] = (),
    fixed: Sequence[int] = (),
) -> None:
    """Print a table; cells are text, None is an empty one.

    Columns, by number: `numeric` ones stand to the right, `fixed` ones are not broken into lines.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ..render.words import plain

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(headings):
        table.add_column(name, justify="right" if i in numeric else "left", overflow="fold", no_wrap=i in fixed)
    for row in rows:
        table.add_row(*(Text("" if cell is None else plain(cell)) for cell in row))
    print_rich(table)


def shown_path(path: str) -> str:
    """Name a path in a message."""
    return "stdin" if path == "-" else path


def read_text(path: str) -> str:
    """Read a UTF-8 file, or stdin (-)."""
    if path == "-" and sys.stdin is None:
        fail("stdin is closed")
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        fail(f"{shown_path(path)} is not UTF-8 text (at byte {error.start})")

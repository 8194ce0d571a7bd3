"""A bar on stderr while logs are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

__all__ = ["progress_bar"]

_PATIENCE_S = 1.0


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, int, int], None] | None]:
    """Give what shows the bytes, rows and rejected rows read so far, once it takes longer than a second.

    None where stderr is no terminal. Nothing is left of the bar.
    """
    if not sys.stderr.isatty():
        yield None
        return
    bar = _Bar()
    try:
        yield bar.show
    finally:
        bar.close()


class _Bar:
    def __init__(self) -> None:
        self._begun = monotonic()
        self._close: Callable[[], None] | None = None
        self._update: Callable[[int, int, int, int], None] | None = None

    def show(self, done: int, total: int, rows: int, rejected: int) -> None:
        """Show how far reading is."""
        if self._update is None:
            if monotonic() - self._begun < _PATIENCE_S:
                return
            self._open()
        assert self._update is not None
        self._update(done, total, rows, rejected)

    def close(self) -> None:
        """Take the bar away."""
        if self._close is not None:
            self._close()

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        bar = Progress(
            TextColumn("reading"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[rejected]:,} rejected"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        task = bar.add_task("", rows=0, rejected=0)

        def update(done: int, total: int, rows: int, rejected: int) -> None:
            bar.update(task, completed=done, total=total or None, rows=rows, rejected=rejected)

        bar.start()
        self._close, self._update = bar.stop, update

"""Rows that could not be read: all are counted, the first of each file are listed, and a file takes every one."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..whole_file import open_whole
from .masked import mask

__all__ = ["MAX_LISTED", "MAX_LISTED_IN_ALL", "Reject", "Rejects", "RejectsFile", "open_rejects"]

MAX_LISTED = 100_000
"""So many rejected rows of a file are listed, the first ones: a file that is no log must not fill the memory."""
MAX_LISTED_IN_ALL = 500_000
"""So many of all files, in their order."""

_MOST_REASONS = 1_000
_OTHER_REASONS = "other reasons"
# Places and sizes differ from row to row: they make no other reason.
_NUMBER = re.compile(r"[0-9][0-9,]*")


class Reject(NamedTuple):
    """One row that could not be read."""

    source_file: str
    line: int | None
    """From 1; in a file that is one JSON document, the number of the record; None for the whole file."""
    offset: int | None
    """In bytes of the decompressed file; None in a document and in a table."""
    reason: str
    masked_row: str | None
    """How the row begins, its content masked; None where nothing of it is known."""


class RejectsFile:
    """Takes rejected rows as JSON lines, one object with the fields of `Reject` a line."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file

    def write(self, rows: Iterable[Reject]) -> None:
        """Write rows, in the order in which they come."""
        for row in rows:
            # Half a surrogate, which a reason of another package's format may quote, cannot be written.
            text = json.dumps(row._asdict(), ensure_ascii=False) + "\n"
            self._file.write(text.encode("utf-8", "replace"))


@contextmanager
def open_rejects(path: str | os.PathLike[str] | None) -> Iterator[RejectsFile | None]:
    """Yield the file to write to, which appears whole at the end, and not at all after an error; None for no path.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    if path is None:
        yield None
        return
    with open_whole(path) as file:
        yield RejectsFile(Path(path), file)


class Rejects:
    """Counts rejected rows and keeps the first; rows come in the order of files and lines."""

    def __init__(self, file: RejectsFile | None = None) -> None:
        self.rows: list[Reject] = []
        """The first of each file, `MAX_LISTED` at most."""
        self.reasons: Counter[str] = Counter()
        """How often each reason came up, its numbers left out."""
        self._file = file
        self._listed: Counter[str] = Counter()
        # Rows are much alike: equal texts are kept once.
        self._texts: dict[str, str] = {}

    def add(self, source_file: str, line: int | None, offset: int | None, reason: str, row: object) -> None:
        """Add a row: what is known of it as `mask` takes it."""
        self._count(_NUMBER.sub("…", reason), 1)
        if self._file is None and self._is_full(source_file):
            return
        reject = Reject(source_file, line, offset, reason, mask(row))
        if self._file is not None:
            self._file.write([reject])
        self._list(reject)

    def merge(self, other: Rejects) -> None:
        """Add what another run counted and listed, of rows behind these; each has written its rows itself."""
        for reason, rows in other.reasons.items():
            self._count(reason, rows)
        for reject in other.rows:
            self._list(reject)

    def _count(self, reason: str, rows: int) -> None:
        # A format of another package may find a new reason for every row.
        is_known = reason in self.reasons or len(self.reasons) < _MOST_REASONS
        self.reasons[reason if is_known else _OTHER_REASONS] += rows

    def _is_full(self, source_file: str) -> bool:
        return len(self.rows) >= MAX_LISTED_IN_ALL or self._listed[source_file] >= MAX_LISTED

    def _list(self, reject: Reject) -> None:
        if self._is_full(reject.source_file):
            return
        self._listed[reject.source_file] += 1
        masked = None if reject.masked_row is None else self._kept(reject.masked_row)
        self.rows.append(reject._replace(reason=self._kept(reject.reason), masked_row=masked))

    def _kept(self, text: str) -> str:
        return self._texts.setdefault(text, text)

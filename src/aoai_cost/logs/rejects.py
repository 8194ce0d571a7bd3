"""Rows that could not be read: all are counted, the first of each file are listed, and a file takes every one."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..whole_file import open_whole

__all__ = ["MAX_LISTED", "MAX_LISTED_IN_ALL", "Reject", "Rejects", "RejectsFile", "open_rejects", "reason_alone"]

MAX_LISTED = 100_000
"""So many rejected rows of a file are listed, the first ones: a file that is no log must not fill the memory."""
MAX_LISTED_IN_ALL = 500_000
"""So many of all files, in their order."""

_MOST_REASONS = 1_000
_OTHER_REASONS = "other reasons"
_NUMBER = re.compile(r"[0-9][0-9,]*")


def reason_alone(reason: str) -> str:
    """Return a reason without its numbers: places and sizes differ from row to row and make no other reason."""
    return _NUMBER.sub("…", reason)


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

    def in_file(self, lines_before: int) -> Reject:
        """Return a row of a section with its line in the file, so many of which come before the section."""
        return self if self.line is None else self._replace(line=self.line + lines_before)


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
        self._reasons: Counter[str] = Counter()
        self.path = None if file is None else file.path
        """The file that takes every row."""
        self._file = file
        self._listed: Counter[str] = Counter()
        # Rows are much alike: equal texts are kept once.
        self._texts: dict[str, str] = {}

    @property
    def reasons(self) -> tuple[tuple[str, int], ...]:
        """How often each reason came up, its numbers left out; the most frequent first."""
        return tuple(sorted(self._reasons.items(), key=lambda one: (-one[1], one[0])))

    def wants(self, source_file: str) -> bool:
        """Tell whether more is kept of another row of a file than its reason."""
        full = len(self.rows) >= MAX_LISTED_IN_ALL or self._listed[source_file] >= MAX_LISTED
        return self._file is not None or not full

    def add(self, reject: Reject) -> None:
        """Add a row."""
        self.count(reason_alone(reject.reason), 1)
        if not self.wants(reject.source_file):
            return
        if self._file is not None:
            self._file.write([reject])
        if len(self.rows) < MAX_LISTED_IN_ALL and self._listed[reject.source_file] < MAX_LISTED:
            self._listed[reject.source_file] += 1
            masked = None if reject.masked_row is None else self._kept(reject.masked_row)
            self.rows.append(reject._replace(reason=self._kept(reject.reason), masked_row=masked))

    def sorted_rows(self, files: Sequence[str]) -> list[Reject]:
        """Return the rows that are listed in the order of files and lines, in which late ones may not have come."""
        number = {name: i for i, name in enumerate(files)}
        return sorted(self.rows, key=lambda row: (number[row.source_file], row.line is None, row.line or 0))

    def count(self, reason: str, rows: int) -> None:
        """Count rows that are not listed, by what `reason_alone` gives."""
        # A format of another package may find a new reason for every row.
        is_known = reason in self._reasons or len(self._reasons) < _MOST_REASONS
        self._reasons[reason if is_known else _OTHER_REASONS] += rows

    def _kept(self, text: str) -> str:
        return self._texts.setdefault(text, text)

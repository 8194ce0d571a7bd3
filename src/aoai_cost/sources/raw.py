"""What a file gives before anybody knows what it says: pieces of lines, and records."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["BEGINNING_BYTES", "MAX_LINE_BYTES", "Piece", "Raw"]

MAX_LINE_BYTES = 64 << 20
"""Longer lines are rejected; bodies with images in them reach tens of megabytes."""

BEGINNING_BYTES = 4_096
"""So much is kept of a line that cannot be read, until its beginning is masked."""


class Raw(NamedTuple):
    """One record of a file, or the reason why there is none."""

    line: int | None
    offset: int | None
    value: Any
    """With a reason: the beginning of a line (bytes), texts of a row of a table (tuple), or None."""
    reason: str | None = None
    damaged: bool = False
    """The file breaks off here."""


class Piece(NamedTuple):
    """Whole lines of a file, one behind the other."""

    data: bytes
    line: int
    """The number of the first of them, from 1."""
    lines: int
    offset: int
    """Where it begins in the file, in bytes after decompression."""

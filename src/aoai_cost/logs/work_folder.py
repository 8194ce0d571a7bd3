"""The folder of a reading in parts: what came of each task, in files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..errors import UsageFormatError
from .parts import Runs
from .reading import Account, Continued, SectionAccount
from .rejects import MAX_LISTED, Reject, Rejects, reason_alone
from .schema import Facets, FileCounts

__all__ = ["RejectsOf", "WorkFolder", "written_reject"]

_PARTS, _SPANS, _REJECTS, _ACCOUNT = ".parts", ".spans", ".rejects", ".json"
_ALL = (_PARTS, _SPANS, _REJECTS, _ACCOUNT)
_UNFINISHED = ".unfinished"
_OURS = re.compile(r"(?P<key>[0-9a-f]{32})\.(parts|spans|rejects|json)(\.[0-9a-f]+)?(\.unfinished)?")


class Unfinished(NamedTuple):
    """The files of a task while it is done."""

    parts: IO[bytes]
    spans: IO[bytes]
    rejects: IO[bytes]
    account: IO[bytes]


class WorkFolder:
    """Keeps records and accounts of tasks by their keys.

    `durable` ones outlive a failure of the machine, not only of the process.
    """

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path, self._durable = path, durable

    @contextmanager
    def open(self, key: str) -> Iterator[Unfinished]:
        """Open the files of a task; without `keep` nothing is left of them.

        Raises
        ------
        UsageFormatError
            If they cannot be written.
        """
        # A process whose parent was killed may still be at the same task.
        mine = f".{secrets.token_hex(8)}{_UNFINISHED}"
        paths = [self.path / f"{key}{suffix}{mine}" for suffix in _ALL]
        try:
            with ExitStack() as stack:
                yield Unfinished(*(stack.enter_context(path.open("w+b")) for path in paths))
        except OSError as error:  # one of the logs would be an error that names it
            raise UsageFormatError(str(self.path), f"cannot be written to: {error.strerror}") from None
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    def keep(self, files: Unfinished, kept: Sequence[Runs], account: Account, rejects: RejectsOf) -> None:
        """Keep the records that were written, and their account."""
        # The reasons of rows that are not written come as the last line.
        files.rejects.write(json.dumps(rejects.unwritten).encode())
        told = {
            "bounds": [one.bounds for one in kept],
            "sections": [{"counts": asdict(one.counts), "lines": one.lines} for one in account.sections],
            "facets": account.facets,
            "quantities": account.quantities,
            "sources": sorted(account.sources),
            "recognised": account.recognised,
            "has_sums": account.has_sums,
            "has_spans": account.has_spans,
            "continued": account.continued,
            "unseen": None if account.unseen is None else sorted(account.unseen),
        }
        files.account.write(json.dumps(told, separators=(",", ":")).encode())
        # The account comes last: where it is, all is.
        for file in files:
            file.flush()
            if self._durable:
                os.fsync(file.fileno())
            file.close()  # an open file cannot be renamed on Windows
            path = Path(file.name)
            path.replace(path.with_suffix("").with_suffix(""))

    def has(self, key: str) -> bool:
        """Tell whether a task is done."""
        return all((self.path / f"{key}{suffix}").exists() for suffix in _ALL)

    def learn_rejects(self, key: str, lines_before: Sequence[int], rejects: Rejects) -> None:
        """Add the rows that could not be read in a task, given how many lines of its file come before each section.

        Raises
        ------
        UsageFormatError
            If they cannot be read any more.
        """
        path = self.path / f"{key}{_REJECTS}"
        try:
            with path.open("rb") as file:
                for line in file:
                    found = json.loads(line)
                    if isinstance(found, dict):
                        for reason, rows in found.items():
                            rejects.count(reason, rows)
                        return
                    rejects.add(written_reject(found, lines_before))
            raise ValueError  # the last line is missing
        except (ValueError, LookupError, TypeError, OSError):
            raise _damaged(path) from None

    def load(self, key: str) -> tuple[Account, Runs, Runs]:
        """Return what came of a task that is done: its account, its records, and those of spans.

        Raises
        ------
        UsageFormatError
            If it cannot be read any more.
        """
        path = self.path / f"{key}{_ACCOUNT}"
        try:
            told = json.loads(path.read_bytes())
            account = Account(
                sections=[SectionAccount(FileCounts(**one["counts"]), one["lines"]) for one in told["sections"]],
                facets=[Facets(*one) for one in told["facets"]],
                quantities=[tuple((*meter,) for meter in one) for one in told["quantities"]],
                sources=told["sources"],
                recognised=told["recognised"],
                has_sums=told["has_sums"],
                has_spans=told["has_spans"],
                continued=[
                    Continued(source, api, begins_us, ends_us, section, Reject(*reject))
                    for source, api, begins_us, ends_us, section, reject in told["continued"]
                ],
                unseen=told["unseen"],
            )
            parts, spans = (
                Runs(self.path / f"{key}{suffix}", bounds)
                for suffix, bounds in zip((_PARTS, _SPANS), told["bounds"], strict=True)
            )
            are_whole = parts.is_whole() and spans.is_whole()
        except (ValueError, LookupError, TypeError, OSError):
            raise _damaged(path) from None
        if not are_whole:
            raise _damaged(path)
        return account, parts, spans

    def clear(self) -> None:
        """Delete the folder, unless it is the user's."""
        if not self._durable:
            shutil.rmtree(self.path, ignore_errors=True)

    def drop_others(self, keys: Collection[str]) -> None:
        """Delete what belongs to none of these tasks: of files that changed since."""
        for path, key in self._ours():
            if key not in keys:
                path.unlink(missing_ok=True)

    def drop_unfinished(self) -> None:
        """Delete what somebody left who was interrupted."""
        for path, _ in self._ours():
            if path.suffix == _UNFINISHED:
                path.unlink(missing_ok=True)

    def _ours(self) -> list[tuple[Path, str]]:
        """Return the files that belong to tasks, and their keys; whatever else the user keeps there is not touched."""
        return [(path, name["key"]) for path in self.path.iterdir() if (name := _OURS.fullmatch(path.name))]


class RejectsOf:
    """Writes the rows that cannot be read in a task: all, or those that a report lists."""

    def __init__(self, file: IO[bytes], *, write_all: bool) -> None:
        self._file, self._write_all = file, write_all
        self._section = self._left = 0
        self.unwritten: Counter[str] = Counter()
        """The reasons of the others."""

    def begin(self, section: int) -> None:
        """Take note of the section that is read next."""
        self._section, self._left = section, MAX_LISTED

    def wants(self, source_file: str) -> bool:
        """Tell whether the next row is written."""
        return self._write_all or self._left > 0

    def add(self, reject: Reject) -> None:
        """Write a row, or count its reason."""
        if not self.wants(reject.source_file):
            self.unwritten[reason_alone(reject.reason)] += 1
            return
        self._left -= 1
        self._file.write(json.dumps([self._section, *reject]).encode() + b"\n")


def written_reject(written: Sequence[Any], lines_before: Sequence[int]) -> Reject:
    """Return a row that `RejectsOf` wrote, given how many lines of its file come before each section."""
    section, *row = written
    return Reject(*row).in_file(lines_before[section])


def _damaged(path: Path) -> UsageFormatError:
    return UsageFormatError(str(path), "what was kept is damaged; delete the folder and read anew")

"""The folder of a reading in parts: what came of each task, in files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, NamedTuple

from ..errors import UsageFormatError
from .parts import PART, Runs
from .reading import Account, SectionAccount
from .rejects import MAX_LISTED, Reject, Rejects, reason_alone
from .schema import Facets, FileCounts

__all__ = ["RejectsOf", "WorkFolder"]

_PARTS, _REJECTS, _ACCOUNT, _UNFINISHED = ".parts", ".rejects", ".json", ".unfinished"
# Whatever else the user keeps there is not touched.
_OURS = re.compile(r"(?P<key>[0-9a-f]{32})(\.parts|\.rejects|\.json)?(?P<unfinished>\.unfinished)?")


class Unfinished(NamedTuple):
    """The files of a task while it is done."""

    parts: IO[bytes]
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
        """Open the files of a task; without `keep` nothing is left of them."""
        paths = [self.path / f"{key}{suffix}{_UNFINISHED}" for suffix in (_PARTS, _REJECTS, _ACCOUNT)]
        try:
            with ExitStack() as stack:
                yield Unfinished(*(stack.enter_context(path.open("w+b")) for path in paths))
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    def keep(self, files: Unfinished, bounds: list[list[int]], account: Account, rejects: RejectsOf) -> None:
        """Keep the records that were written, and their account."""
        # The reasons of rows that are not written come as the last line.
        files.rejects.write(json.dumps(rejects.unwritten).encode())
        told = {
            "bounds": bounds,
            "sections": [{"counts": asdict(one.counts), "lines": one.lines} for one in account.sections],
            "facets": account.facets,
            "quantities": account.quantities,
            "recognised": account.recognised,
            "has_sums": account.has_sums,
            "unseen": None if account.unseen is None else sorted(account.unseen),
        }
        files.account.write(json.dumps(told, separators=(",", ":")).encode())
        # The account comes last: where it is, all is.
        for file in files:
            file.flush()
            if self._durable:
                os.fsync(file.fileno())
            path = Path(file.name)
            path.replace(path.with_suffix(""))

    def has(self, key: str) -> bool:
        """Tell whether a task is done."""
        return all((self.path / f"{key}{suffix}").exists() for suffix in (_PARTS, _REJECTS, _ACCOUNT))

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
                    section, *row = found
                    reject = Reject(*row)
                    number = None if reject.line is None else reject.line + lines_before[section]
                    rejects.add(reject._replace(line=number))
            raise ValueError  # the last line is missing
        except (ValueError, LookupError, TypeError, OSError):
            raise _damaged(path) from None

    def load(self, key: str) -> tuple[Account, Runs]:
        """Return what came of a task that is done.

        Raises
        ------
        UsageFormatError
            If it cannot be read any more.
        """
        path = self.path / f"{key}{_PARTS}"
        try:
            told = json.loads((self.path / f"{key}{_ACCOUNT}").read_bytes())
            sections = [SectionAccount(FileCounts(**one["counts"]), one["lines"]) for one in told["sections"]]
            facets = [Facets(*one) for one in told["facets"]]
            quantities = [tuple((*meter,) for meter in one) for one in told["quantities"]]
            bounds = told["bounds"]
            if path.stat().st_size != (bounds[-1][-1] if bounds else 0) * PART.itemsize:
                raise ValueError
        except (ValueError, LookupError, TypeError, OSError):
            raise _damaged(path) from None
        account = Account(sections, facets, quantities, told["recognised"], told["has_sums"], told["unseen"])
        return account, Runs(path, bounds)

    def drop_others(self, keys: Collection[str]) -> None:
        """Delete what belongs to none of these tasks: of files that changed since, or that an interruption left."""
        for path in self.path.iterdir():
            name = _OURS.fullmatch(path.name)
            if name and (name["key"] not in keys or name["unfinished"]):
                path.unlink(missing_ok=True)


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


def _damaged(path: Path) -> UsageFormatError:
    return UsageFormatError(str(path), "what was kept is damaged; delete the folder and read anew")

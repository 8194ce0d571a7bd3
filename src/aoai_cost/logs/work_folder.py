"""The folder of a reading in parts: what came of each task, in two files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from ..errors import UsageFormatError
from .parts import PART, Runs
from .reading import Account, Rejected, SectionAccount
from .schema import Facets, FileCounts

__all__ = ["WorkFolder"]

_PARTS, _ACCOUNT, _UNFINISHED = ".parts", ".json", ".unfinished"
# Whatever else the user keeps there is not touched.
_OURS = re.compile(r"(?P<key>[0-9a-f]{32})(\.parts|\.json)?(?P<unfinished>\.unfinished)?")


class WorkFolder:
    """Keeps records and accounts of tasks by their keys.

    `durable` ones outlive a failure of the machine, not only of the process.
    """

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path, self._durable = path, durable

    @contextmanager
    def open(self, key: str) -> Iterator[IO[bytes]]:
        """Open a file for the records of a task; without `keep` nothing is left of it."""
        path = self.path / f"{key}{_UNFINISHED}"
        try:
            with path.open("w+b") as file:
                yield file
        finally:
            path.unlink(missing_ok=True)

    def keep(self, key: str, file: IO[bytes], bounds: list[list[int]], account: Account) -> None:
        """Keep the records that were written to `file`, and their account."""
        self._finish(file, f"{key}{_PARTS}")
        told = {
            "bounds": bounds,
            "sections": [
                {"counts": asdict(one.counts), "lines": one.lines, "rejected": one.rejected} for one in account.sections
            ],
            "facets": account.facets,
            "quantities": account.quantities,
            "recognised": account.recognised,
            "has_sums": account.has_sums,
            "unseen": None if account.unseen is None else sorted(account.unseen),
        }
        with self.open(f"{key}{_ACCOUNT}") as told_file:
            told_file.write(json.dumps(told, separators=(",", ":")).encode())
            self._finish(told_file, f"{key}{_ACCOUNT}")

    def _finish(self, file: IO[bytes], name: str) -> None:
        file.flush()
        if self._durable:
            os.fsync(file.fileno())
        Path(file.name).replace(self.path / name)

    def has(self, key: str) -> bool:
        """Tell whether a task is done."""
        return (self.path / f"{key}{_ACCOUNT}").exists() and (self.path / f"{key}{_PARTS}").exists()

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
            sections = [
                SectionAccount(FileCounts(**one["counts"]), one["lines"], [Rejected(*row) for row in one["rejected"]])
                for one in told["sections"]
            ]
            facets = [Facets(*one) for one in told["facets"]]
            quantities = [tuple((*meter,) for meter in one) for one in told["quantities"]]
            bounds = told["bounds"]
            if path.stat().st_size != (bounds[-1][-1] if bounds else 0) * PART.itemsize:
                raise ValueError
        except (ValueError, LookupError, TypeError, OSError):
            raise UsageFormatError(str(path), "what was kept is damaged; delete the folder and read anew") from None
        account = Account(sections, facets, quantities, told["recognised"], told["has_sums"], told["unseen"])
        return account, Runs(path, bounds)

    def drop_others(self, keys: Collection[str]) -> None:
        """Delete what belongs to none of these tasks: of files that changed since, or that an interruption left."""
        for path in self.path.iterdir():
            name = _OURS.fullmatch(path.name)
            if name and (name["key"] not in keys or name["unfinished"]):
                path.unlink(missing_ok=True)

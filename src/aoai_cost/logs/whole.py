"""All that was read, by whomever: the calls in it, and an account of every row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import UsageFormatError
from ..sources.files import Section
from ..sources.period import ALWAYS
from .join import Calls, Joiner
from .meters import LoggedHours
from .nesting import leave_innermost
from .parts import NOT_A_TIME, Parts, PartTable, Shared, some
from .primary import Choice, compete
from .reading import Account, Continued, Options, SectionAccount, strange
from .rejects import Reject, Rejects
from .schema import Counts, FileCounts, PartKind
from .sums import Sums, SumsState, UsageSums

__all__ = ["Resolved", "Whole"]

_FIELDS = len(fields(FileCounts)) - 2
"""The numbers of an account; before them stands the name of the file, behind them whether it is complete."""


class Resolved(NamedTuple):
    """What another process resolved of the same sections, as plain data."""

    sums: SumsState
    followed: set[int]
    untimed: list[npt.NDArray[np.int64]]
    counts: npt.NDArray[np.int64]
    """Shape (sections, fields): what was counted of the rows of each section."""


class Whole:
    """The records of all sections, and their accounts.

    `sections` are those of `accounts` in their order, which is that of the files.
    """

    def __init__(
        self,
        files: Sequence[str],
        sections: Sequence[Section],
        accounts: Sequence[Account],
        shared: Shared,
        options: Options,
    ) -> None:
        self.shared, self._options = shared, options
        self.sections: list[SectionAccount] = [section for one in accounts for section in one.sections]
        """In their order."""
        self._files = files
        self._file_of = [section.file for section in sections]
        self.sources = {source for one in accounts for source in one.sources}
        """The numbers of the formats of which there are rows."""
        self._has_sums = any(one.has_sums for one in accounts)
        self._continued = _continued(accounts)
        self._followed: set[int] = set()
        """The places among the rows after which more follows of those where it does."""
        self._counts = [section.counts for section in self.sections]
        self.logged = LoggedHours(shared, self._counts)
        """The hours of calls, where rows were read that may sum them."""
        self._joiner = Joiner(shared, self._counts, options.given(shared))
        self._read = self._counted()
        self._untimed: list[npt.NDArray[np.int64]] = []
        """Section and line of calls that do not tell their time, where only those of a time are asked for."""
        self._unseen = [set(one.unseen) for one in accounts if one.unseen is not None]
        self._recognised = any(one.recognised for one in accounts)

    def lines_before(self) -> list[int]:
        """Return for each section how many lines of its file come before it."""
        found: list[int] = []
        file, lines = -1, 0
        for number, section in zip(self._file_of, self.sections, strict=True):
            if number != file:
                file, lines = number, 0
            found.append(lines)
            lines += section.lines
        return found

    def check(self, rejects: Rejects) -> None:
        """Refuse files that cannot be what the user thinks.

        Raises
        ------
        UsageFormatError
            If no row was of a known format, or no row had a column that the user's map names.
        """
        if self._unseen and (nowhere := set.intersection(*self._unseen)):
            # It is misspelled, and what it holds would be missing in silence.
            reason = "no row has the column; columns must name it as the source does"
            raise UsageFormatError("", reason, 0, min(nowhere))
        n_rejected = sum(one.counts.rejected for one in self.sections)
        if n_rejected and not self._recognised:
            first = rejects.rows[0]
            more = f" (and {n_rejected - 1:,} more rows)" if n_rejected > 1 else ""
            reason = f"{first.reason}{more}; {strange(self.shared, all_of_them=True)}"
            raise UsageFormatError(first.source_file, reason, first.line or 0)

    @property
    def depends(self) -> bool:
        """Whether what some rows count for depends on rows of other calls, so that partitions hang together."""
        return self._has_sums

    def innermost(self, partitions: Iterator[Parts]) -> Iterator[Parts]:
        """Yield the rows of calls of spans under their identities, without what is told again around them."""
        return (leave_innermost(parts, self._counts) for parts in partitions)

    def calls(self, partitions: Iterator[Parts]) -> Iterator[Calls]:
        """Yield the calls in `partitions`, each of which holds all rows of its calls; count what becomes of rows.

        Where partitions hang together (`depends`), all must be given.
        """
        for calls in self._joined(partitions):
            self._follow(calls)
            yield self._asked_for(calls)

    def _joined(self, partitions: Iterator[Parts]) -> Iterator[Calls]:
        joiner = self._joiner
        sums = PartTable()
        try:
            for parts in partitions:
                if not self._has_sums:
                    yield joiner.resolve(parts)
                    continue
                of_sums = np.isin(parts["kind"], PartKind.OF_SUMS)
                sums.add_many(some(parts, of_sums))
                calls = joiner.resolve(some(parts, ~of_sums))
                self.logged.learn(calls)
                yield calls
            for parts in sums.partitions():
                yield joiner.resolve(self.logged.left_of(parts))
        finally:
            sums.close()

    def _follow(self, calls: Calls) -> None:
        rows = calls.rows
        times = rows["timestamp_us"]
        for number, one in enumerate(self._continued):
            if number in self._followed:
                continue
            later = rows[(rows["source"] == one.source) & (times >= one.begins_us) & (times < one.ends_us)]
            if any(self.shared.facets.all[i].api == one.api for i in np.unique(later["facets"]).tolist()):
                self._followed.add(number)

    def _asked_for(self, calls: Calls) -> Calls:
        """Return the calls of the time that is asked for, and count the rows that make them, or did not."""
        period = self._options.period
        if period != ALWAYS:
            times, sections = calls.rows["timestamp_us"], calls.rows["section"].astype(np.int64)
            untimed, inside = times == NOT_A_TIME, period.holds(times)
            self._untimed.append(np.stack([sections[untimed], calls.rows["line"][untimed]], axis=1))
            for section, rows in enumerate(np.bincount(sections[~untimed & ~inside]).tolist()):
                self._counts[section].ignored += rows
            calls = calls.some(inside)
        self._joiner.count(calls)
        return calls

    def _reject_late(self, rejects: Rejects) -> None:
        """Reject what is known only now: calls without a time, and rows after which more would follow, and does not."""
        before = self.lines_before()
        reason = "the call does not tell its time, so it cannot be said to lie between since and until"
        for section, line in sorted(tuple(row) for rows in self._untimed for row in rows.tolist()):
            self._reject(
                section, Reject(self._counts[section].source_file, line or None, None, reason, None), before, rejects
            )
        for number, one in enumerate(self._continued):
            section = self.sections[one.section].counts
            if number in self._followed:
                section.ignored += 1
                continue
            section.complete = False
            self._reject(one.section, one.reject, before, rejects)

    def _reject(self, section: int, reject: Reject, lines_before: Sequence[int], rejects: Rejects) -> None:
        reject = reject.in_file(lines_before[section])
        if self._options.strict:
            raise UsageFormatError(reject.source_file, reject.reason, reject.line or 0)
        self._counts[section].rejected += 1
        rejects.add(reject)

    def resolved(self, sums: Sums) -> Resolved:
        """Return what became of the calls that were resolved here and added to `sums`."""
        return Resolved(sums.state, self._followed, self._untimed, self._counted() - self._read)

    def learn(self, resolved: Resolved, sums: Sums) -> None:
        """Take what was resolved of other partitions."""
        sums.learn(resolved.sums)
        self._followed |= resolved.followed
        self._untimed += resolved.untimed
        for counts, more in zip(self._counts, resolved.counts.tolist(), strict=True):
            counts.add(FileCounts("", *more))

    def _counted(self) -> npt.NDArray[np.int64]:
        return np.array([astuple(counts)[1:-1] for counts in self._counts], np.int64).reshape(-1, _FIELDS)

    def new_sums(self) -> Sums:
        """Return what adds calls up as all that was read needs it."""
        return Sums(self.shared, by_hour=compete(self.shared, self.sources))

    def usage_sums(self, sums: Sums, rejects: Rejects) -> tuple[UsageSums, Choice]:
        """Return the sums of all calls with the account, and which source counts where several saw the same calls.

        Raises
        ------
        UsageFormatError
            Under ``strict``, if what follows a row is not there.
        """
        from .frame import make_rejected

        # Only now is it known which rows were further parts of a call, which calls another source counts, and what is
        # missing.
        choice = sums.choose(self._counts)
        self._reject_late(rejects)
        counts = Counts(tuple(self._file_counts()), rejects.reasons)
        found = UsageSums(
            groups=tuple(sums.groups()),
            period=sums.period,
            formats=sums.formats,
            rejected=make_rejected(rejects.sorted_rows(self._files), self._files),
            counts=counts,
            complete=counts.total.complete,
            comparisons=choice.comparisons,
            unmatched=choice.unmatched,
        )
        return found, choice

    def _file_counts(self) -> list[FileCounts]:
        totals = [FileCounts(shown) for shown in self._files]
        for number, section in zip(self._file_of, self.sections, strict=True):
            totals[number].add(section.counts)
        return totals


def _continued(accounts: Sequence[Account]) -> list[Continued]:
    found: list[Continued] = []
    first = 0
    for account in accounts:
        found += [one._replace(section=one.section + first) for one in account.continued]
        first += len(account.sections)
    return found

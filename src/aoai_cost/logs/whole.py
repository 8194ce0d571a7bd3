"""All that was read, by whomever: the calls in it, and an account of every row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import UsageFormatError
from .files import Section
from .join import Calls, Joiner
from .meters import LoggedHours
from .parts import Parts, PartTable, Shared
from .reading import Account, Options, SectionAccount, strange
from .rejects import Rejects
from .schema import Counts, FileCounts, PartKind
from .sums import Sums, UsageSums

__all__ = ["Whole"]


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
        self.has_sums = any(one.has_sums for one in accounts)
        """Whether rows were read that may sum calls of other rows."""
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

    def calls(self, partitions: Iterator[Parts]) -> Iterator[Calls]:
        """Yield the calls in `partitions`, each of which holds all rows of its calls; count what becomes of rows."""
        counts = [section.counts for section in self.sections]
        joiner = Joiner(self.shared, counts, self._options.given(self.shared))
        logged = LoggedHours(self.shared, counts)
        sums = PartTable()
        try:
            for parts in partitions:
                if not self.has_sums:
                    yield joiner.resolve(parts)
                    continue
                of_meters = parts["kind"] == PartKind.METER
                sums.add_many(parts[of_meters])
                calls = joiner.resolve(parts[~of_meters])
                logged.learn(calls)
                yield calls
            for parts in sums.partitions():
                yield joiner.resolve(logged.left_of(parts))
        finally:
            sums.close()

    def usage_sums(self, sums: Sums, rejects: Rejects) -> UsageSums:
        """Return the sums of all calls with the account."""
        from .frame import make_rejected

        # Only now is it known which rows were further parts of a call.
        counts = Counts(tuple(self._file_counts()), rejects.reasons)
        return UsageSums(
            groups=tuple(sums.groups()),
            period=sums.period,
            formats=sums.formats,
            rejected=make_rejected(rejects.rows, self._files),
            counts=counts,
            complete=counts.total.complete,
        )

    def _file_counts(self) -> list[FileCounts]:
        totals = [FileCounts(shown) for shown in self._files]
        for number, section in zip(self._file_of, self.sections, strict=True):
            totals[number].add(section.counts)
        return totals

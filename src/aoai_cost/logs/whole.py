"""All that was read, by whomever: the calls in it, and an account of every row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..errors import UsageFormatError
from .files import Section
from .join import Calls, Joiner
from .meters import LoggedHours
from .parts import Parts, PartTable, Shared
from .reading import MOST_LISTED, Account, Options, Rejected, SectionAccount
from .schema import Counts, FileCounts, PartKind
from .sums import Sums, UsageSums

__all__ = ["Whole"]


class Whole:
    """The records of all sections, and their accounts.

    `sections` are those of `accounts` in their order, which is that of the files.

    Raises
    ------
    UsageFormatError
        If no row was of a known format, or no row had a column that the user's map names.
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
        self.rejected = self._all_rejected()
        unseen = [set(one.unseen) for one in accounts if one.unseen is not None]
        if unseen and (nowhere := set.intersection(*unseen)):
            # It is misspelled, and what it holds would be missing in silence.
            reason = "no row has the column; columns must name it as the source does"
            raise UsageFormatError("", reason, 0, min(nowhere))
        if self.rejected and not any(one.recognised for one in accounts):
            self._refuse_strangers()

    def _all_rejected(self) -> list[tuple[str, Rejected]]:
        """Return the rows that could not be read, with the lines of their files."""
        found: list[tuple[str, Rejected]] = []
        file, lines, listed = -1, 0, 0
        for number, section in zip(self._file_of, self.sections, strict=True):
            if number != file:
                file, lines, listed = number, 0, 0
            for one in section.rejected[: MOST_LISTED - listed]:
                found.append((self._files[file], one if one.line is None else one._replace(line=one.line + lines)))
            listed += len(section.rejected)
            lines += section.lines
        return found

    def _refuse_strangers(self) -> None:
        families = self.shared.families
        # Formats that share calls are asked for by the name of the first of them.
        alone = len(set(families)) == 1
        asked = self.shared.formats[0] if alone else "a known log format"
        source, first = self.rejected[0]
        more = f" (and {len(self.rejected) - 1:,} more rows)" if len(self.rejected) > 1 else ""
        page = "" if alone else "; see docs/log-formats.md"
        raise UsageFormatError(source, f"{first.reason}{more}; no row is of {asked}{page}", first.line or 0)

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

    def usage_sums(self, calls: Iterable[Calls]) -> UsageSums:
        """Add calls up, and return the sums with the account."""
        sums = Sums(self.shared)
        for one in calls:
            sums.add(one)
        return self.with_account(sums)

    def with_account(self, sums: Sums) -> UsageSums:
        """Return the sums of all calls with the account."""
        from .frame import make_rejected

        # Only now is it known which rows were further parts of a call.
        counts = Counts(tuple(self._file_counts()))
        return UsageSums(
            groups=tuple(sums.groups()),
            period=sums.period,
            formats=sums.formats,
            rejected=make_rejected([(source, *one) for source, one in self.rejected], self._files),
            counts=counts,
            complete=counts.total.complete,
        )

    def _file_counts(self) -> list[FileCounts]:
        totals = [FileCounts(shown) for shown in self._files]
        for number, section in zip(self._file_of, self.sections, strict=True):
            totals[number].add(section.counts)
        return totals

"""Reading: sections of files in, records of their rows and an account of them out.

Whoever reads, this process or another, at once or after an interruption: what comes out of a section is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..errors import UsageFormatError
from ..sources.files import LogFile, Section, lines_before, open_line, read_pieces
from ..sources.period import ALWAYS, Period
from ..sources.raw import Piece, Raw
from .column_map import MAPPED, ColumnMap
from .fields import to_text
from .formats import find_formats
from .masked import mask
from .nesting import span_records
from .parts import Parts, PartTable, Place, Quantities, Shared, record_of
from .rejects import Reject
from .schema import ContinuedError, Facets, FileCounts, Identity, LogFormat, Part, PartKind, RowError

if TYPE_CHECKING:
    from ..sources.tables import ArrowTable

__all__ = [
    "Account",
    "Advance",
    "Continued",
    "Options",
    "Progress",
    "Reading",
    "Rejecting",
    "SectionAccount",
    "strange",
    "sum_up",
]

Progress = Callable[[int, int, int, int], None]
"""Is told how many bytes were read, how many there are, and the rows and rejected rows in those that were read."""
Advance = Callable[[int, int, int], None]
"""Is told of bytes, rows and rejected rows, of each how many more."""


def sum_up(progress: Progress, total_bytes: int) -> Advance:
    """Return what tells `progress` the sums of steps."""
    done = [0, 0, 0]

    def advance(size: int, rows: int, rejected: int) -> None:
        for i, more in enumerate((size, rows, rejected)):
            done[i] += more
        progress(done[0], total_bytes, done[1], done[2])

    return advance


class Options(NamedTuple):
    """How logs are read, in plain things that another process can be told."""

    format: str = "auto"
    columns: tuple[tuple[str, str], ...] | None = None
    deployment: str | None = None
    resource: str | None = None
    period: Period = ALWAYS
    """The time whose calls count."""
    strict: bool = False

    @classmethod
    def of(
        cls,
        format: str,
        columns: Mapping[str, str] | None,
        deployment: str | None,
        resource: str | None,
        period: Period,
        strict: bool,
    ) -> Options:
        """Return the options as checked.

        Raises
        ------
        UsageFormatError
            For options that exclude each other, names that cannot be one, or a map that is none.
        UnknownNameError
            For an unknown `format`.
        """
        if columns is not None and format != "auto":
            raise UsageFormatError("", "format and columns exclude each other: columns say how every row is read")
        # What is wrong is told before anything is read. To look for the formats of other packages takes a while.
        if columns is not None:
            ColumnMap(columns)
        elif format != "auto":
            find_formats(format)
        try:
            named = to_text(deployment, "deployment")
            account = to_text(resource, "resource")
        except RowError as error:
            raise UsageFormatError("", f"what was given cannot be a name: {error}") from None
        account = account.lower().rstrip("/") if account else None
        return cls(format, None if columns is None else tuple(columns.items()), named, account, period, strict)

    def given(self, shared: Shared) -> list[tuple[str | None, str | None]]:
        """Return the deployment and the resource of each format's calls that no row of them names."""
        return [
            (None if deployment else self.deployment, None if resource else self.resource)
            for deployment, resource in shared.names
        ]


class Rejecting(Protocol):
    """Takes the rows that cannot be read."""

    def wants(self, source_file: str) -> bool:
        """Tell whether more is kept of another row of a file than its reason."""

    def add(self, reject: Reject) -> None:
        """Take a row, its line as it is in its section."""


@dataclass(slots=True)
class SectionAccount:
    """What became of the rows of one section."""

    counts: FileCounts
    lines: int = 0
    """The lines that begin in it."""


def strange(shared: Shared, *, all_of_them: bool = False) -> str:
    """Return what is said of a row that is of no format that was asked for, or of a log that has no others."""
    if shared.formats[0] == MAPPED:
        named = "of the columns that were named"
        return f"no row has any {named}" if all_of_them else f"the row has none {named}"
    alone = len(set(shared.families)) == 1
    # Formats that share calls are asked for by the name of the first of them.
    asked = shared.formats[0] if alone else "a known log format"
    if all_of_them:
        return f"no row is of {asked}" + ("" if alone else "; see docs/log-formats.md")
    return f"the row is not of {asked}"


class Continued(NamedTuple):
    """A row after which more follows, in the log or not."""

    source: int
    """The number of its format."""
    api: str | None
    begins_us: int
    ends_us: int
    section: int
    reject: Reject
    """What is said if the log has no call of the format and the API in this time."""


class Account(NamedTuple):
    """What a reading leaves beside its records: plain things, and what the numbers in the records stand for."""

    sections: Sequence[SectionAccount]
    facets: Sequence[Facets]
    quantities: Sequence[Quantities]
    sources: Collection[int]
    """The numbers of the formats of which there are rows."""
    recognised: bool
    has_sums: bool
    """Whether rows were read that may sum calls of other rows."""
    has_spans: bool
    continued: Sequence[Continued]
    unseen: Collection[str] | None
    """The columns of the user's map that no row had; None where there is no map, or no row."""


class Reading:
    """Reads sections into a table of records.

    `spans` takes those of calls that other rows may hold, until it is known which do. `formats` are those that the
    options choose, for whoever knows them already.
    """

    _wants_contents = False

    def __init__(
        self,
        options: Options,
        table: PartTable,
        spans: PartTable,
        rejects: Rejecting,
        *,
        keep_texts: bool = False,
        formats: tuple[LogFormat, ...] | None = None,
    ) -> None:
        self.options, self._table, self._spans = options, table, spans
        self._rejects = rejects
        self._named = None if options.columns is None else ColumnMap(dict(options.columns))
        self._columns = None if self._named is None else set(self._named.columns.values())
        if self._named is not None:
            self.formats: tuple[LogFormat, ...] = (self._named.format,)
        else:
            self.formats = find_formats(options.format) if formats is None else formats
        self.shared = Shared(self.formats, keep_texts=keep_texts)
        self.sections: list[SectionAccount] = []
        self._sources: set[int] = set()
        self._continued: list[Continued] = []
        self._recognised = self._has_sums = self._has_spans = False
        self._strange = strange(self.shared)
        self._readers = [one.lines(self.shared, i) for i, one in enumerate(self.formats) if one.lines is not None]

    def read(self, file: LogFile, section: Section, key: str, advance: Advance | None = None) -> None:
        """Read a section, whose key no other has; `advance` is told how it goes on.

        Raises
        ------
        UsageFormatError
            If the file cannot be read, or under ``strict`` a row of it.
        """
        current = self._begin(file.shown, key, lambda: lines_before(file, section))
        steps = _Steps(current.account, section, advance)
        for piece in read_pieces(file, section, steps.at, self._columns, contents=self._wants_contents):
            self._read_any(piece, current)
            steps.told()
        steps.end()

    def read_frame(self, shown: str, frame: ArrowTable, key: str) -> None:
        """Read a table in memory by the user's map."""
        if self._named is None:
            raise UsageFormatError(f"a {type(frame).__name__}", "columns must say which of its columns holds what")
        current = self._begin(shown, key, lambda: 0)
        for row in self._named.rows_of(frame):
            self._read_any(row, current)

    def _begin(self, shown: str, key: str, lines_before: Callable[[], int]) -> _Current:
        current = _Current(SectionAccount(FileCounts(shown)), len(self.sections), key, lines_before)
        self.sections.append(current.account)
        return current

    def _read_any(self, piece: Piece | Raw, current: _Current) -> None:
        if isinstance(piece, Raw):
            self._read_raw(piece, current)
            if piece.line is not None:
                current.account.lines = piece.line
        else:
            self._read_piece(piece, current)
            current.account.lines = piece.line + piece.lines - 1

    def _read_piece(self, piece: Piece, current: _Current) -> None:
        """Read the plain lines of a piece at once, and the others one by one."""
        lines: Iterable[tuple[int, int, int]] = _lines_in(piece.data)
        for reader in self._readers:
            if reader.may_read(piece.data):
                parts = reader.read(piece.data)
                columns = reader.columns
                plain = columns.plain
                parts["section"], parts["line"] = current.section, columns.lines[plain] + piece.line
                self._keep_parts(parts)
                current.account.counts.rows += len(parts)
                self._recognised |= len(parts) > 0
                self._sources.update(parts["source"][:1].tolist())
                others = (one[~plain].tolist() for one in (columns.starts, columns.ends, columns.lines))
                lines = zip(*others, strict=True)
                break
        for start, end, number in lines:
            for raw in open_line(piece, start, end, number):
                self._read_raw(raw, current)

    def _read_raw(self, raw: Raw, current: _Current) -> None:
        current.record = current.record + 1 if raw.line == current.line else 0
        current.line = raw.line
        counts = current.account.counts
        counts.rows += 1
        if raw.damaged:
            counts.complete = False
        if raw.reason is not None:
            self._reject(raw, raw.reason, current)
            return
        try:
            source, one = self._format_of(raw.value)
            rows = [raw.value] if one.open is None else list(one.open(raw.value))
        except RowError as error:
            self._reject(raw, str(error), current)
            return
        if not rows:
            counts.ignored += 1  # a record that could hold rows and holds none
        for i, row in enumerate(rows):
            if i:
                counts.rows += 1
                current.record += 1
            try:
                self._add(source, one, row, current)
            except ContinuedError as error:
                reject = self._reject_of(raw, str(error), current)
                self._continued.append(
                    Continued(source, error.api, error.begins_us, error.ends_us, current.section, reject)
                )
            except RowError as error:
                self._reject(raw._replace(value=row), str(error), current)

    def _format_of(self, record: Any) -> tuple[int, LogFormat]:
        if isinstance(record, dict):
            for source, one in enumerate(self.formats):
                if one.sniff(record):
                    self._recognised = True
                    return source, one
            raise RowError(self._strange)
        raise RowError("the row is not a JSON object")

    def _add(self, source: int, one: LogFormat, record: Any, current: _Current) -> None:
        if not isinstance(record, dict):
            raise RowError("the row is not a JSON object")
        found = one.read(record)
        if found is None:
            current.account.counts.ignored += 1
            return
        identity, part = found
        self._sources.add(source)
        self._has_sums |= part.kind in PartKind.OF_SUMS
        place = Place(current.section, current.line or 0, current.record, current.key)
        self._keep(source, record, identity, part, place)

    def _keep_parts(self, parts: Parts) -> None:
        self._table.add_many(parts)

    def _keep(self, source: int, row: Mapping[str, Any], identity: Identity | None, part: Part, place: Place) -> None:
        record = record_of(self.shared, source, identity, part, place)
        if part.span is None:
            self._table.add(record)
            return
        self._has_spans = True
        for of_span in span_records(self.shared, source, record, part.span, part.around):
            self._spans.add(of_span)

    def _reject(self, raw: Raw, reason: str, current: _Current) -> None:
        account = current.account
        if self.options.strict:
            line = None if raw.line is None else raw.line + current.lines_before()
            raise UsageFormatError(account.counts.source_file, reason, line or 0)
        account.counts.rejected += 1
        self._rejects.add(self._reject_of(raw, reason, current))

    def _reject_of(self, raw: Raw, reason: str, current: _Current) -> Reject:
        shown = current.account.counts.source_file
        masked = mask(raw.value) if self._rejects.wants(shown) else None
        return Reject(shown, raw.line, raw.offset, reason, masked)

    def account(self) -> Account:
        """Return everything but the records."""
        named = self._named
        return Account(
            self.sections,
            self.shared.facets.all,
            self.shared.quantities.all,
            self._sources,
            self._recognised,
            self._has_sums,
            self._has_spans,
            self._continued,
            None if named is None else named.unseen,
        )


class _Current:
    """The section that is read, the line of it, and how many records of the line were."""

    __slots__ = ("account", "key", "line", "lines_before", "record", "section")

    def __init__(self, account: SectionAccount, section: int, key: str, lines_before: Callable[[], int]) -> None:
        self.account, self.section, self.key, self.lines_before = account, section, key, lines_before
        self.line: int | None = None
        self.record = 0


class _Steps:
    """Tells how far a section is read, step by step."""

    def __init__(self, account: SectionAccount, section: Section, advance: Advance | None) -> None:
        self._counts, self._section, self._advance = account.counts, section, advance
        self._at = self._bytes = self._rows = self._rejected = 0

    def at(self, offset: int) -> None:
        """Take how far the file was read."""
        self._at = min(max(self._at, offset - self._section.start), self._section.size)

    def told(self) -> None:
        """Tell what came since the last time."""
        if self._advance is not None:
            counts = self._counts
            self._advance(self._at - self._bytes, counts.rows - self._rows, counts.rejected - self._rejected)
            self._bytes, self._rows, self._rejected = self._at, counts.rows, counts.rejected

    def end(self) -> None:
        """Tell that the section is read."""
        self._at = self._section.size
        self.told()


def _lines_in(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (start, end, number) of each line of a piece."""
    start = number = 0
    while start < len(data):
        end = data.index(b"\n", start)
        yield start, end, number
        start, number = end + 1, number + 1

"""The stages of a report on a cluster, as functions from batches of Arrow to batches of Arrow, without Spark.

`Stages.read` reads sections of files into records, and `Stages.resolve` takes all records of a partition, which hold
all rows of their calls, and adds these up; `Stages.settle` comes between where calls are spans. Between them are rows
of `ROWS`, and what the last returns has the same columns; `gather` makes the sums of a log of it.

How calls add up may depend on what else a log holds. What that is can be told of the rows (`what_is_known`) only once
they were read: then the stages run again with that knowledge, if it makes a difference (`Stages.fits`).
"""

from __future__ import annotations

import io
import json
import pickle
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import AoaiCostError, UsageFormatError
from ..logs.parts import PART, PARTITIONS, Parts, PartTable, Quantities, Runs, Shared, some
from ..logs.primary import compete
from ..logs.reading import Account, Options, Reading, SectionAccount
from ..logs.rejects import Rejects
from ..logs.schema import Facets, FileCounts, LogFormat, PartKind
from ..logs.sums import Sums, UsageSums
from ..logs.whole import Resolved, Whole
from ..logs.work_folder import RejectsOf, written_reject
from ..logs.workers import cut_tasks
from ..sources.files import LogFile, Section
from ..version import __version__

__all__ = ["ROWS", "SORTED_BY", "TASKS", "Assignment", "Stages", "assign", "gather", "what_is_known"]

TASKS = pa.schema([("task", pa.int32()), ("told", pa.binary())])
"""What `Stages.read` takes: the number of a task, and its `Assignment`, pickled."""
ROWS = pa.schema(
    [
        ("partition", pa.int32()),
        ("task", pa.int32()),
        ("place", pa.int64()),
        ("records", pa.binary()),
        ("told", pa.binary()),
    ]
)
"""Records, if there are any, and something pickled about them.

A stage takes those of a partition together, `SORTED_BY` these: of copies the first counts. Rows `_FOR_DRIVER` pass all
stages as they are.
"""
SORTED_BY = ("partition", "task", "place")

_FOR_DRIVER = -1
_SETTLED = 1 << 30
"""The tasks of settled spans, which come after all others."""
_CALLS, _SPANS = range(PARTITIONS), range(PARTITIONS, 2 * PARTITIONS)
"""The numbers of partitions: by the identities of calls, and by the spans that calls are known by until they settle."""
_RECORDS_AT_ONCE = 128
"""In one row: Spark puts up to 10,000 rows into a batch, and these must fit into memory."""
_NOTHING = Account([], (), (), frozenset(), True, False, False, (), None)
"""What is known of rows before any was read."""

Row = tuple[int, int, int, bytes | None, bytes]
"""(partition, task, place, records, told)"""


class Assignment(NamedTuple):
    """What one task reads."""

    key: str
    first: int
    """The number of its first section among all."""
    sections: Sequence[tuple[LogFile, Section]]


def assign(files: Sequence[LogFile], options: Options) -> tuple[list[tuple[int, bytes]], list[Section]]:
    """Return the rows of `TASKS` that read all files, and the sections of all.

    Raises
    ------
    UsageFormatError
        If a file cannot be opened.
    """
    tasks: list[tuple[int, bytes]] = []
    sections: list[Section] = []
    for number, task in enumerate(cut_tasks(files, options, False)):
        read = [(_anywhere(files[one.file]), one) for one in task.sections]
        tasks.append((number, pickle.dumps(Assignment(task.key, len(sections), read))))
        sections += task.sections
    return tasks, sections


def _anywhere(file: LogFile) -> LogFile:
    """Return a file by a name that means the same in whatever folder a process works."""
    return file._replace(path=file.path.absolute()) if isinstance(file.path, Path) else file


class _Read(NamedTuple):
    """What a task leaves beside its records."""

    account: Account
    rejects: bytes
    """As `RejectsOf` writes them."""
    unlisted: Counter[str]
    """The reasons of the other rows that could not be read."""


class _Names(NamedTuple):
    """What numbers in some records stand for; those of sections count all."""

    facets: Sequence[Facets]
    quantities: Sequence[Quantities]


class _Found(NamedTuple):
    """What became of the records of a partition."""

    resolved: Resolved
    """With the counts of those sections alone of which there are any."""
    sections: npt.NDArray[np.int64]
    """The numbers of these among all."""
    hours: Sequence[tuple[str, str, int, int]]
    """Of calls that were logged, if there are rows that sum calls."""


class Stages:
    """The stages of one reading; a worker gets this class by its name, the options, and what is known of all rows."""

    def __init__(self, options: Options, known: Account = _NOTHING) -> None:
        self.options, self._known = options, known
        self.package = _package(_reading(options).formats)

    @property
    def spans(self) -> bool:
        """Whether there are spans, which are to settle."""
        return self._known.has_spans

    def fits(self, known: Account) -> bool:
        """Tell whether what is known of all rows makes no difference to what these stages found."""
        shared = _reading(self.options).shared
        return known == self._known or not (
            known.has_sums or known.has_spans or known.continued or compete(shared, known.sources)
        )

    def read(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Read what tasks say; yield records by partition, and for the driver an account or the error of each task.

        Records of spans are left out, unless these are to settle.
        """
        for batch in batches:
            for number, told in zip(*(batch.column(name).to_pylist() for name in TASKS.names), strict=True):
                yield from (_batch(rows) for rows in self._read(number, pickle.loads(told)) if rows)

    def _read(self, number: int, task: Assignment) -> Iterator[list[Row]]:
        with (
            tempfile.TemporaryFile(prefix="aoai_cost-") as of_calls,
            tempfile.TemporaryFile(prefix="aoai_cost-") as of_spans,
        ):
            calls, spans = Runs(of_calls), Runs(of_spans)
            tables = PartTable(calls), PartTable(spans)
            listed = io.BytesIO()
            rejects = RejectsOf(listed, write_all=False)
            reading = Reading(self.options, *tables, rejects)
            try:
                self._formats()
                for i, (log, section) in enumerate(task.sections):
                    rejects.begin(i)
                    reading.read(log, section, f"{task.key}/{i}")
            except AoaiCostError as error:
                # As it is, for whoever asked; Spark would make a text of it.
                yield [(_FOR_DRIVER, number, 0, None, pickle.dumps(error))]
                return
            for table in tables:
                table.spill()
            account = reading.account()
            for runs, numbers in ((calls, _CALLS), (spans, _SPANS)) if self.spans else ((calls, _CALLS),):
                for i, partition in enumerate(numbers):
                    for place, records in enumerate(runs.read(i)):
                        records["section"] += task.first
                        yield list(_rows(partition, number, place, records, reading.shared))
            read = _Read(account._replace(facets=(), quantities=()), listed.getvalue(), rejects.unwritten)
            yield [(_FOR_DRIVER, number, 0, None, pickle.dumps(read))]

    def settle(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Put innermost spans into the partitions of their calls; rows of one partition come together."""
        for one in self._gathered(batches, _SPANS):
            if isinstance(one, _Partition):
                yield from (_batch(rows) for rows in one.settled() if rows)
            else:
                yield one

    def resolve(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Add up partitions whose rows come together, sorted by task, one row for each."""
        for one in self._gathered(batches, _CALLS):
            yield _batch([one.resolved()]) if isinstance(one, _Partition) else one

    def _gathered(self, batches: Iterable[pa.RecordBatch], numbers: range) -> Iterator[pa.RecordBatch | _Partition]:
        """Yield each of these partitions once it is whole, and all other rows as they are."""
        formats = self._formats()
        current: _Partition | None = None
        for batch in batches:
            partitions = batch.column("partition").to_numpy()
            is_here = (partitions >= numbers.start) & (partitions < numbers.stop)
            if not is_here.all():
                yield batch.filter(pa.array(~is_here))
            for i in np.flatnonzero(is_here).tolist():
                if current is None or current.number != partitions[i]:
                    if current is not None:
                        yield current
                    shared = Shared(formats, keep_texts=False)
                    current = _Partition(int(partitions[i]), self.options, self._known, shared)
                names = pickle.loads(batch.column("told")[i].as_py())
                current.add(_records(batch.column("records")[i].as_buffer()), names)
        if current is not None:
            yield current

    def _formats(self) -> tuple[LogFormat, ...]:
        """Return the formats, once it is known that their numbers are those of the driver."""
        formats = _reading(self.options).formats
        if _package(formats) != self.package:
            reason = "a worker has another version of the package, or other log formats, than the driver"
            raise UsageFormatError("", reason)
        return formats


class _Partition:
    """All records of a partition, beyond a limit on disk."""

    def __init__(self, number: int, options: Options, known: Account, shared: Shared) -> None:
        self.number, self._options, self._known, self._shared = number, options, known, shared
        self._table = PartTable()
        self._n_sections = 0
        """So many of all sections are known of here: which of several equal rows counts is told by their numbers."""

    def add(self, records: Parts, names: _Names) -> None:
        """Add records."""
        self._n_sections = max(self._n_sections, int(records["section"].max()) + 1)
        self._table.add_many(_renumbered(records, names, self._shared))

    def settled(self) -> Iterator[list[Row]]:
        """Yield the records of innermost spans by the partitions of their calls, and what became of the others."""
        whole = self._whole()
        with tempfile.TemporaryFile(prefix="aoai_cost-") as file:
            runs = Runs(file)
            table = PartTable(runs)
            for parts in whole.innermost(self._table.partitions()):
                table.add_many(parts)
            table.spill()
            for partition in _CALLS:
                for place, records in enumerate(runs.read(partition)):
                    yield list(_rows(partition, _SETTLED + self.number, place, records, self._shared))
        yield [(_FOR_DRIVER, _SETTLED + self.number, 0, None, pickle.dumps(_found(whole, whole.new_sums())))]

    def resolved(self) -> Row:
        """Return what all come to."""
        whole = self._whole()
        sums = whole.new_sums()
        for calls in whole.calls(self._table.partitions()):
            sums.add(calls)
        return self.number, 0, 0, None, pickle.dumps(_found(whole, sums))

    def _whole(self) -> Whole:
        account = self._known._replace(sections=[SectionAccount(FileCounts("")) for _ in range(self._n_sections)])
        return Whole([], [Section(0, 0, None, 0)] * self._n_sections, [account], self._shared, self._options)


def _found(whole: Whole, sums: Sums) -> _Found:
    resolved = whole.resolved(sums)
    sections = np.flatnonzero(resolved.counts.any(axis=1))
    return _Found(resolved._replace(counts=resolved.counts[sections]), sections, whole.logged.spans())


def what_is_known(rows: Iterable[Row]) -> Account:
    """Return what there is in all rows that were read, of what a last stage returned."""
    read: dict[int, Account] = {}
    for partition, task, _, records, told in rows:
        if partition == _FOR_DRIVER and records is None and isinstance(what := pickle.loads(told), _Read):
            read[task] = what.account
    accounts = [read[task] for task in sorted(read)]
    return _NOTHING._replace(
        sources=frozenset(source for one in accounts for source in one.sources),
        has_sums=any(one.has_sums for one in accounts),
        has_spans=any(one.has_spans for one in accounts),
        continued=tuple(row for one in accounts for row in one.continued),
    )


def gather(rows: Iterable[Row], files: Sequence[LogFile], sections: Sequence[Section], options: Options) -> UsageSums:
    """Make the sums of a log of all that the last stage returned.

    Raises
    ------
    UsageFormatError
        As reading the files one by one does; of several errors that of the first task.
    """
    read: dict[int, _Read] = {}
    errors: dict[int, AoaiCostError] = {}
    settled: list[_Found] = []
    resolved: dict[int, _Found] = {}
    meters = PartTable()
    shared = _reading(options).shared
    for partition, task, _, records, told in rows:
        what = pickle.loads(told)
        if records is not None:
            meters.add_many(_renumbered(_records(records), what, shared))
        elif isinstance(what, AoaiCostError):
            errors[task] = what
        elif isinstance(what, _Read):
            read[task] = what
        elif partition == _FOR_DRIVER:
            settled.append(what)
        elif partition in resolved:
            raise RuntimeError(f"Spark gave the rows of partition {partition} to two workers")
        else:
            resolved[partition] = what
    if errors:
        raise errors[min(errors)]
    tasks = [read[task] for task in sorted(read)]
    whole = Whole([file.shown for file in files], sections, [one.account for one in tasks], shared, options)
    rejects = _all_rejects(tasks, whole.lines_before())
    whole.check(rejects)
    sums = whole.new_sums()
    for one in (*settled, *resolved.values()):
        counts = np.zeros((len(sections), one.resolved.counts.shape[1]), np.int64)
        counts[one.sections] = one.resolved.counts
        whole.learn(one.resolved._replace(counts=counts), sums)
        whole.logged.learn_spans(one.hours)
    for calls in whole.calls(meters.partitions()):
        sums.add(calls)
    return whole.usage_sums(sums, rejects)[0]


def _all_rejects(read: Sequence[_Read], lines_before: Sequence[int]) -> Rejects:
    rejects = Rejects()
    first = 0
    for one in read:
        before = lines_before[first : first + len(one.account.sections)]
        for line in one.rejects.splitlines():
            rejects.add(written_reject(json.loads(line), before))
        for reason, rows in one.unlisted.items():
            rejects.count(reason, rows)
        first += len(one.account.sections)
    return rejects


def _reading(options: Options) -> Reading:
    return Reading(options, PartTable(), PartTable(), Rejects())


def _package(formats: Sequence[LogFormat]) -> tuple[str, ...]:
    """Return what must be the same wherever records go."""
    return (__version__, *(one.name for one in formats))


def _rows(partition: int, task: int, place: int, records: Parts, shared: Shared) -> Iterator[Row]:
    """Yield records with what their numbers stand for; what sums calls is for the driver, which knows all of them.

    `place` is that of these among the records of the task.
    """
    # There are fewer rows than that: a run fits into memory.
    place <<= 20
    of_sums = np.isin(records["kind"], PartKind.OF_SUMS)
    for to, part in ((partition, some(records, ~of_sums)), (_FOR_DRIVER, some(records, of_sums))):
        for start in range(0, len(part), _RECORDS_AT_ONCE):
            piece = part[start : start + _RECORDS_AT_ONCE]
            facets, piece["facets"] = np.unique(piece["facets"], return_inverse=True)
            quantities, piece["quantities"] = np.unique(piece["quantities"], return_inverse=True)
            names = _Names(
                [shared.facets.all[i] for i in facets.tolist()],
                [shared.quantities.all[i] for i in quantities.tolist()],
            )
            yield to, task, place + start, piece.tobytes(), pickle.dumps(names)


def _records(data: Any) -> Parts:
    return np.frombuffer(data, PART).copy()


def _renumbered(records: Parts, names: _Names, shared: Shared) -> Parts:
    """Return records with the numbers that their things have in `shared`."""
    facets, quantities = shared.learn(names.facets, names.quantities)
    records["facets"] = facets[records["facets"]]
    records["quantities"] = quantities[records["quantities"]]
    return records


def _batch(rows: Sequence[Row]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    return pa.record_batch([pa.array(one, field.type) for one, field in zip(columns, ROWS, strict=True)], schema=ROWS)

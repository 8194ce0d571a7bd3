"""Reading apart: the work is cut into tasks; processes read these into a folder, and then resolve what is in it.

A task is some bytes of the logs: a section of a large file, or many small files. Its records and its account are kept
in the folder, so that a task that is done need not be done again. When all are, each partition of the records holds all
rows of its calls, and is resolved by whoever takes it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from hashlib import blake2b
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from ..errors import UsageFormatError
from ..sources.files import SECTION_BYTES, LogFile, Section, cut
from ..version import __version__
from .formats import formats_version
from .parts import PART, PARTITIONS, Parts, PartTable, Runs, Source, partition
from .reading import Account, Options, Progress, Reading, sum_up
from .rejects import Rejects
from .schema import LogFormat
from .sums import UsageSums
from .whole import Resolved, Whole
from .work_folder import RejectsOf, WorkFolder

__all__ = ["Task", "are_worth_it", "cut_tasks", "sum_apart"]

_MOST_OPEN = 256
"""So many files of records are held open: a process may have about 1,000."""
_MOST_SECTIONS = 1_000
"""So many small files are one task."""


class Task(NamedTuple):
    """Sections that are read together."""

    key: str
    """Tells what is read and how, so that what is kept under it is good as long as the key is the same."""
    sections: tuple[Section, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(one.size for one in self.sections)


class Job(NamedTuple):
    """Everything that a process must know."""

    options: Options
    files: Sequence[LogFile]
    tasks: Sequence[Task]
    folder: WorkFolder
    all_rejects: bool
    """Whether every row that cannot be read is kept, and not only those that a report lists."""


def are_worth_it(files: Sequence[LogFile]) -> bool:
    """Tell whether reading takes longer than it takes to start a process."""
    return sum(file.size() for file in files) >= 2 * SECTION_BYTES


def sum_apart(
    files: Sequence[LogFile],
    options: Options,
    rejects: Rejects,
    processes: int,
    work: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> UsageSums:
    """Read files in so many processes, by way of a folder; by default one that is deleted.

    Raises
    ------
    UsageFormatError
        If a file cannot be read or the folder not be used, under ``strict``, or if a process ends early.
    """
    all_rejects = rejects.path is not None
    tasks = list(cut_tasks(files, options, all_rejects))
    advance = None if progress is None else sum_up(progress, sum(one.size for one in tasks))
    with ExitStack() as stack:
        if work is None:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aoai_cost-")))
        else:
            path = _lock(Path(work), stack)
        job = Job(options, files, tasks, WorkFolder(path, durable=work is not None), all_rejects)
        job.folder.drop_others({one.key for one in tasks})
        job.folder.drop_unfinished()
        # Of a process that is ended in the middle of a task something is left.
        stack.callback(job.folder.drop_unfinished)
        left = [number for number, task in enumerate(tasks) if not job.folder.has(task.key)]
        worker = Worker(job)
        stack.callback(worker.close)
        if advance is not None:
            for number in set(range(len(tasks))).difference(left):
                advance(*worker.told(number))
        pool = stack.enter_context(_Pool(min(processes, len(tasks)) - 1, job))
        for told in pool.map("read", left, worker):
            if advance is not None:
                advance(*told)
        return worker.usage_sums(pool, rejects)


def cut_tasks(files: Sequence[LogFile], options: Options, all_rejects: bool) -> Iterator[Task]:
    """Yield all sections, so many together that they are about as large as those of large files."""
    versions = [file.version() for file in files]
    formats = formats_version(options.format) if options.columns is None else ()

    def task(sections: Sequence[Section]) -> Task:
        where = [(files[one.file].shown, versions[one.file], one.start, one.end) for one in sections]
        how = (formats, options.columns, options.strict, all_rejects)
        key = blake2b(repr((__version__, PART.descr, how, where)).encode(), digest_size=16).hexdigest()
        return Task(key, tuple(sections))

    together: list[Section] = []
    for section in cut(files, SECTION_BYTES):
        together.append(section)
        if sum(one.size for one in together) >= SECTION_BYTES or len(together) == _MOST_SECTIONS:
            yield task(together)
            together = []
    if together:
        yield task(together)


def _lock(path: Path, stack: ExitStack) -> Path:
    """Make a folder and keep others out of it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        stack.enter_context(FileLock(path / ".lock", timeout=0))
    except Timeout:
        raise UsageFormatError(str(path), "another process works in this folder") from None
    except OSError as error:
        raise UsageFormatError(str(path), f"cannot be used as a folder to work in: {error.strerror}") from None
    return path


class Worker:
    """Does the tasks of a job, and resolves partitions of what all of them left."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._all: _All | None = None
        self._formats: tuple[LogFormat, ...] | None = None

    def read(self, number: int) -> tuple[int, int, int]:
        """Do a task; return its bytes, rows and rejected rows."""
        options, files, tasks, folder, all_rejects = self._job
        task = tasks[number]
        with folder.open(task.key) as unfinished:
            kept = Runs(unfinished.parts), Runs(unfinished.spans)
            parts, spans = (PartTable(one) for one in kept)
            rejects = RejectsOf(unfinished.rejects, write_all=all_rejects)
            reading = Reading(options, parts, spans, rejects, formats=self._formats)
            if options.columns is None:
                self._formats = reading.formats  # to look for those of other packages takes as long as to read a little
            for i, section in enumerate(task.sections):
                rejects.begin(i)
                reading.read(files[section.file], section, f"{task.key}/{i}")
            parts.spill()
            spans.spill()
            account = reading.account()
            folder.keep(unfinished, kept, account, rejects)
        return _told(task, account)

    def told(self, number: int) -> tuple[int, int, int]:
        """Return of a task that is done its bytes, rows and rejected rows."""
        task = self._job.tasks[number]
        return _told(task, self._job.folder.load(task.key)[0])

    def clear(self) -> None:
        """Delete the folder, unless it is the user's."""
        self._job.folder.clear()

    def resolve(self, number: int) -> None:
        """Resolve a partition and add its calls to the sums."""
        self._gathered().add(range(number, number + 1))

    def resolved(self) -> Resolved:
        """Return what was resolved here."""
        everything = self._gathered()
        return everything.whole.resolved(everything.sums)

    def usage_sums(self, pool: _Pool, rejects: Rejects) -> UsageSums:
        """Resolve everything, together with the processes of a pool, and return the sums with the account."""
        everything = self._gathered()
        whole, sums = everything.whole, everything.sums
        everything.learn_rejects(rejects)
        whole.check(rejects)
        if everything.hangs_together:
            with closing(everything.settle_spans()) as innermost:
                everything.add(range(PARTITIONS), innermost)
            return whole.usage_sums(sums, rejects)[0]
        for _ in pool.map("resolve", range(PARTITIONS), self):
            pass
        for resolved in pool.each("resolved"):
            whole.learn(resolved, sums)
        return whole.usage_sums(sums, rejects)[0]

    def close(self) -> None:
        """Close all files."""
        if self._all is not None:
            self._all.close()

    def _gathered(self) -> _All:
        if self._all is None:
            self._all = _All(self._job)
        return self._all


def _told(task: Task, account: Account) -> tuple[int, int, int]:
    counts = [one.counts for one in account.sections]
    return task.size, sum(one.rows for one in counts), sum(one.rejected for one in counts)


class _All:
    """What all tasks left."""

    def __init__(self, job: Job) -> None:
        shared = Reading(job.options, PartTable(), PartTable(), Rejects()).shared
        self._job = job
        sections: list[Section] = []
        accounts: list[Account] = []
        self._parts: list[Source] = []
        self._spans: list[Source] = []
        for task in job.tasks:
            account, parts, spans = job.folder.load(task.key)
            numbers = shared.learn(account.facets, account.quantities)
            self._parts.append(Source(parts, len(sections), *numbers))
            if account.has_spans:
                self._spans.append(Source(spans, len(sections), *numbers))
            sections += task.sections
            accounts.append(account)
        if len(self._parts) <= _MOST_OPEN:
            for source in self._parts:
                source.runs.keep_open()
        self.whole = Whole([file.shown for file in job.files], sections, accounts, shared, job.options)
        self.sums = self.whole.new_sums()

    def close(self) -> None:
        """Close all files."""
        for source in self._parts:
            source.runs.close()

    @property
    def hangs_together(self) -> bool:
        """Whether one process must resolve everything: rows of one partition may tell what those of another count."""
        return self.whole.depends or bool(self._spans)

    def settle_spans(self) -> Runs:
        """Return where the innermost spans are, to be closed in the end."""
        runs = Runs.temporary()
        innermost = PartTable(runs)
        for parts in self.whole.innermost(self._partitions(self._spans, range(PARTITIONS))):
            innermost.add_many(parts)
        innermost.spill()
        return runs

    def _partitions(self, sources: Sequence[Source | Runs], numbers: Iterable[int]) -> Iterator[Parts]:
        return (parts for number in numbers for parts in partition(sources, number))

    def learn_rejects(self, rejects: Rejects) -> None:
        """Hand on the rows that could not be read, in the order of files and lines."""
        lines_before = self.whole.lines_before()
        first = 0
        for task in self._job.tasks:
            self._job.folder.learn_rejects(task.key, lines_before[first : first + len(task.sections)], rejects)
            first += len(task.sections)

    def add(self, partitions: Iterable[int], *more: Runs) -> None:
        """Resolve partitions and add their calls; `more` are records beside those of the tasks."""
        for calls in self.whole.calls(self._partitions([*self._parts, *more], partitions)):
            self.sums.add(calls)


class _Pool:
    """Processes that each have a `Worker`.

    They are plain children that are told what to do by pipes: no thread or lock of this process is copied into them,
    and a user's script is not run again in each of them. This process works too, while they start.
    """

    def __init__(self, processes: int, job: Job) -> None:
        # Whoever presses Ctrl-C means this process, which ends the others.
        start = (
            "import pickle, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "sys.path[:] = pickle.load(sys.stdin.buffer)\nfrom aoai_cost.logs.workers import serve\nserve()"
        )
        self._children: list[subprocess.Popen[bytes]] = []
        with suppress(OSError):  # where no process can be started any more, those that there are do the work
            while sys.executable and len(self._children) < processes:
                # -P: what lies in the folder where the user stands is not imported.
                command = [sys.executable, "-P", "-c", start]
                self._children.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        self._left: deque[int] = deque()
        self._threads: list[Thread] = []
        for child in self._children:
            with suppress(OSError):  # one that ended already is noticed when it is asked
                _send(child, sys.path)
                _send(child, job)

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self._left.clear()
        for child in self._children:
            child.kill()
        for thread in self._threads:
            thread.join()
        for child in self._children:
            child.communicate()

    def map(self, name: str, arguments: Iterable[int], own: Worker) -> Iterator[Any]:
        """Call a method of whichever worker is free with each argument; yield what they return as it comes.

        `own` is the worker of this process.
        """
        self._left.extend(arguments)
        n_answers = len(self._left)
        answers: SimpleQueue[Any] = SimpleQueue()

        def work(child: subprocess.Popen[bytes]) -> None:
            while (argument := self._take()) is not None:
                answers.put(_ask(child, name, argument))

        self._threads = [Thread(target=work, args=(child,), daemon=True) for child in self._children]
        for thread in self._threads:
            thread.start()
        for _ in range(n_answers):
            if answers.empty() and (argument := self._take()) is not None:
                answer = getattr(own, name)(argument)
            else:
                answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
            yield answer
        for thread in self._threads:
            thread.join()  # or it would take what is asked next for more of this

    def _take(self) -> int | None:
        try:
            return self._left.popleft()
        except IndexError:
            return None

    def each(self, name: str) -> Iterator[Any]:
        """Call a method of every worker."""
        for child in self._children:
            answer = _ask(child, name)
            if isinstance(answer, Exception):
                raise answer
            yield answer


def _send(child: subprocess.Popen[bytes], what: object) -> None:
    assert child.stdin is not None
    pickle.dump(what, child.stdin)
    child.stdin.flush()


def _ask(child: subprocess.Popen[bytes], name: str, *arguments: int) -> Any:
    """Return what a method of a child's worker returns, or the exception that it raises."""
    assert child.stdout is not None
    try:
        _send(child, (name, arguments))
        return pickle.load(child.stdout)
    except Exception:  # noqa: BLE001  (whatever the bytes of a process make that was killed or says something else)
        with suppress(subprocess.TimeoutExpired):
            child.wait(1)
        child.kill()
        code = child.wait()
        return UsageFormatError("", f"a process that read logs ended early, with exit code {code}")


def serve() -> None:
    """Do what a parent asks for, until it closes the pipe."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What a format of another package prints, from Python or C, is no answer.
    sys.stdout = sys.stderr
    with suppress(OSError):
        os.dup2(2, 1)
    worker = Worker(pickle.load(questions))
    try:
        while True:
            name, arguments = pickle.load(questions)
            try:
                answer = getattr(worker, name)(*arguments)
            except Exception as error:  # noqa: BLE001  (it is raised where the question came from)
                answer = _as_sent(error)
            pickle.dump(answer, answers)
            answers.flush()
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        worker.close()
        worker.clear()  # the parent was ended before it could
        os._exit(1)  # nobody takes what is left to be written


def _as_sent(error: Exception) -> Exception:
    """Return an error, or what is told of one that cannot be sent, as some of other packages."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  (making an error anew can raise anything)
        return RuntimeError(f"{type(error).__name__} while logs were read")
    return error

"""What is read apart, in sections, by several processes or in several goes, is what is read at once."""

from __future__ import annotations

import errno
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from log_rows import body_row, check_same, csv_of, lines_of, status_row, usage_row

from aoai_cost.errors import RequestError, UsageFormatError
from aoai_cost.logs import rejects, sum_usage, work_folder, workers
from aoai_cost.logs.parts import Runs
from aoai_cost.sources.files import Section, cut, find_files, lines_before, open_line, read_pieces
from aoai_cost.sources.raw import Piece, Raw

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "logs"


@pytest.fixture
def small_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SECTION_BYTES", 4_000)


@pytest.fixture
def logs(tmp_path: Path, small_sections: None) -> Path:
    """Write two files of several sections each, whose calls, copies and broken lines are spread over all."""
    made = random.Random(3)
    rows = [row for i in range(60) for row in (usage_row(f"{i}", i, 1), status_row(f"{i}"))]
    rows += made.sample(rows, 25) + [usage_row(f"{i}", i + 1, 2) for i in range(0, 60, 10)]
    lines = [*lines_of(rows).splitlines(keepends=True), b"nothing\n", b"\n", b'{"a": 1}\n', b"[1, 2]\r\n"]
    made.shuffle(lines)
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(lines_of([usage_row("first")]) + b"".join(lines[::2]))
    (folder / "b.jsonl").write_bytes(lines_of([usage_row("first")]) + b"".join(lines[1::2]) + b'{"half": ')
    return folder


# ---- sections


def rows_in(path: Path, section: Section) -> Iterator[Raw]:
    [file] = find_files((path,))
    for piece in read_pieces(file, section, lambda offset: None):
        if isinstance(piece, Piece):
            start = 0
            for number, line in enumerate(piece.data.splitlines(keepends=True)):
                yield from open_line(piece, start, start + len(line), number)
                start += len(line)
        else:
            yield piece


LINES = st.lists(
    st.sampled_from([b"{}", b'{"a": 1}', b"[1, 2]", b"", b"  ", b"no", b'{"long": "' + b"x" * 90 + b'"}', b"data: {}"]),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.booleans(), st.integers(1, 80))
@example([b"{}"] * 8, b"\n", True, 3)
def test_each_line_is_in_the_section_that_it_begins_in(
    tmp_path: Path, lines: list[bytes], end: bytes, ends: bool, section_bytes: int
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"{}" + end + end.join(lines) + end * ends)
    [file] = find_files((path,))
    sections = list(cut([file], section_bytes))
    assert sum(one.size for one in sections) == file.size()
    found, n_lines = [], 0
    for section in sections:
        rows = list(rows_in(path, section))
        before = lines_before(file, section)
        found += [row._replace(line=row.line and row.line + before) for row in rows]
        n_lines += sum(1 for _ in rows)
    assert found == list(rows_in(path, Section(0, 0, None, file.size())))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            b'{\n"records": [' + lines_of([usage_row()] * 9).strip().replace(b"\n", b",\n") + b"]}", id="document"
        ),
        pytest.param(csv_of([{"a": "x\ny", "b": "1"}] * 300).encode(), id="table"),
        pytest.param(b"\x1f\x8b" + b"x" * 5_000, id="gzip"),
        pytest.param(b"PAR1" + b"\n" * 5_000, id="parquet"),
        pytest.param(("\ufeff" + "{}\n" * 900).encode("utf-16"), id="UTF-16"),
        pytest.param(b"\xef\xbb\xbf" + b"{}\n" * 900, id="with a mark"),
        pytest.param(b"\n" * 5_000, id="blank"),
        pytest.param(b"\0" * 5_000, id="binary"),
        pytest.param(b"{}" + b" " * (2 << 20), id="no line ends in sight"),
    ],
)
def test_what_does_not_stand_in_lines_is_not_cut(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "log").write_bytes(data)
    assert list(cut(find_files((tmp_path,)), 1_000)) == [Section(0, 0, None, len(data))]


def test_small_files_are_one_task(tmp_path: Path) -> None:
    for i in range(2_500):
        (tmp_path / f"{i}").write_bytes(b"{}\n")
    tasks = list(workers.cut_tasks(find_files((tmp_path,)), workers.Options(), False))
    assert [len(one.sections) for one in tasks] == [1_000, 1_000, 500]
    assert len({one.key for one in tasks}) == 3


# ---- the merge law


@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_find_what_one_finds(logs: Path, processes: int) -> None:
    whole = sum_usage(logs)
    assert whole.counts.total.rejected == 5
    assert whole.counts.total.duplicates > 20
    assert whole.counts.total.conflicts == 6
    tasks = list(workers.cut_tasks(find_files((logs,)), workers.Options(), False))
    assert len(tasks) > 10
    check_same(sum_usage(logs, processes=processes), whole)


def test_the_example_log_is_the_same_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SECTION_BYTES", 40_000)
    whole = sum_usage(EXAMPLES)
    check_same(sum_usage(EXAMPLES, processes=2), whole)
    check_same(sum_usage(EXAMPLES, work=tmp_path / "work"), whole)


def test_all_samples_together_are_the_same_apart(test_data: Path, small_sections: None, tmp_path: Path) -> None:
    samples = test_data / "samples"
    whole = sum_usage(samples)
    assert len(whole.formats) > 5
    assert whole.comparisons
    assert any(group.aggregated for _, group in whole.groups)
    check_same(sum_usage(samples, processes=2), whole)
    check_same(sum_usage(samples, work=tmp_path / "work"), whole)


def test_names_and_maps_reach_every_process(tmp_path: Path, small_sections: None) -> None:
    bodies, table = tmp_path / "bodies", tmp_path / "table.jsonl"
    bodies.mkdir()
    for i in range(3):
        (bodies / f"{i}.jsonl").write_bytes(lines_of([body_row(id=f"{i}-{j}") for j in range(20)]))
    given_names = {"deployment": "chat", "resource": "Contoso"}
    found = sum_usage(bodies, processes=2, **given_names)
    check_same(found, sum_usage(bodies, **given_names))
    assert {(key.deployment, key.resource) for key, _ in found.groups} == {("chat", "contoso")}
    table.write_bytes(b'{"in": 1, "out": 2, "id": "a"}\n' * 200 + b'{"in": 1, "out": 2, "id": "b"}\n')
    columns = {"prompt_tokens": "in", "completion_tokens": "out", "request_id": "id"}
    found = sum_usage(table, processes=2, columns=columns)
    assert (found.counts.total.requests, found.counts.total.duplicates) == (2, 199)
    with pytest.raises(UsageFormatError, match="'model_name': no row has the column"):
        sum_usage(table, processes=2, columns=columns | {"model": "model_name"})


def test_rows_without_an_identity_are_calls_of_their_own_in_every_section(tmp_path: Path, small_sections: None) -> None:
    row = body_row()
    del row["id"]
    for name in "ab":
        (tmp_path / name).write_bytes(lines_of([row]) * 100)
    assert sum_usage(tmp_path, processes=2).counts.total.requests == 200


@pytest.mark.parametrize("options", [{"processes": 2}, {}])
def test_every_rejected_row_is_written_and_the_first_are_listed(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    for name in ("c", "d"):
        (logs / name).write_bytes(b"".join(b'{"strange": %d}\n' % i for i in range(2_000)))
    whole, written = sum_usage(logs, rejects=tmp_path / "whole"), tmp_path / "apart"
    check_same(sum_usage(logs, rejects=written, work=tmp_path / "work", **options), whole)
    assert written.read_bytes() == (tmp_path / "whole").read_bytes()
    assert whole.counts.total.rejected == 4_005
    if options:
        return
    for module in (rejects, work_folder):
        monkeypatch.setattr(module, "MAX_LISTED", 300)
    cut = sum_usage(logs)
    assert len(cut.rejected) == 605
    check_same(sum_usage(logs, work=tmp_path / "work"), cut)
    assert (tmp_path / "whole").read_bytes().count(b"\n") == 4_005


# ---- going on


class StopError(Exception):
    pass


def stop_after(steps: int) -> Callable[..., None]:
    def progress(done: int, total: int, rows: int, rejected: int) -> None:
        nonlocal steps
        assert 0 <= done <= total
        steps -= 1
        if steps < 0:
            raise StopError

    return progress


def watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    read: list[int] = []
    real = workers.Worker.read
    monkeypatch.setattr(
        workers.Worker, "read", lambda self, number, *more: (read.append(number), real(self, number, *more))[1]
    )
    return read


def names_in(folder: Path) -> set[str]:
    return {path.suffix for path in folder.iterdir() if path.name != ".lock"}


@pytest.mark.parametrize("processes", [1, 2])
def test_what_was_read_before_an_interruption_is_not_read_again(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    work = tmp_path / "work"
    stop = stop_after(4)

    def progress(*numbers: int) -> None:
        # As another process leaves it that is ended in the middle of a task.
        (work / f"{'0' * 32}.parts.unfinished").write_bytes(b"half")
        stop(*numbers)

    with pytest.raises(StopError):
        sum_usage(logs, work=work, processes=processes, progress=progress)
    assert names_in(work) == {".parts", ".spans", ".rejects", ".json"}
    kept = {path.name: path.stat().st_mtime_ns for path in work.iterdir()}
    read = watched(monkeypatch)
    check_same(sum_usage(logs, work=work), sum_usage(logs))
    n_tasks = len(list(workers.cut_tasks(find_files((logs,)), workers.Options(), False)))
    assert 0 < len(read) < n_tasks
    assert all((work / name).stat().st_mtime_ns == when for name, when in kept.items())
    read.clear()
    check_same(sum_usage(logs, work=work, processes=processes), sum_usage(logs))
    assert read == []


def test_files_that_changed_are_read_again(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    sum_usage(logs, work=work)
    before = {path.name for path in work.iterdir()}
    with (logs / "b.jsonl").open("ab") as file:
        file.write(b"}\n" + lines_of([usage_row("new")]))
    (logs / "c.jsonl").write_bytes(lines_of([usage_row("newer"), usage_row("0")]))
    (work / "mine.json").write_text("of the user's")
    read = watched(monkeypatch)
    check_same(sum_usage(logs, work=work), sum_usage(logs))
    assert 0 < len(read) < len(list(workers.cut_tasks(find_files((logs,)), workers.Options(), False)))
    # What was of the file before is gone, and nothing else.
    assert before - {path.name for path in work.iterdir()}
    assert (work / "mine.json").exists()


def test_a_file_that_was_cut_short_is_not_taken_for_whole(logs: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    sum_usage(logs, work=work)
    longest = max(work.glob("*.parts"), key=lambda path: path.stat().st_size)
    os.truncate(longest, longest.stat().st_size - 1)
    with pytest.raises(UsageFormatError, match=r"damaged.*delete"):
        sum_usage(logs, work=work)
    longest.unlink()
    with pytest.raises(UsageFormatError, match=r"damaged.*delete"):
        work_folder.WorkFolder(work, durable=True).load(longest.stem)
    # Of another task: that one is done anew.
    [account, *_] = (one for one in work.glob("*.json") if one.stem != longest.stem)
    account.write_bytes(account.read_bytes()[:-9])
    with pytest.raises(UsageFormatError, match=r"damaged.*delete"):
        sum_usage(logs, work=work)


def test_a_process_that_was_left_alone_at_a_task_harms_nobody(tmp_path: Path) -> None:
    folder, key = work_folder.WorkFolder(tmp_path, durable=True), "0" * 32
    with folder.open(key) as one, folder.open(key) as other:
        assert {file.name for file in one}.isdisjoint(file.name for file in other)
    with folder.open(key):
        folder.drop_unfinished()
        assert list(tmp_path.iterdir()) == []


def test_a_folder_serves_one_at_a_time(logs: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with FileLock(tmp_path / "work" / ".lock"), pytest.raises(UsageFormatError, match="another process"):
        sum_usage(logs, work=tmp_path / "work")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageFormatError, match="folder to work in"):
        sum_usage(logs, work=tmp_path / "file")


def test_ctrl_c_ends_all_processes_and_leaves_nothing_unfinished(logs: Path, tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import signal, sys
        from aoai_cost.logs import sum_usage, workers
        # Whoever starts the tests in the background may have it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        workers.SECTION_BYTES = 4_000
        told = []
        def progress(*numbers):
            told.append(numbers)
            if len(told) == 3:
                print("now", flush=True)
                sys.stdin.read()
        sum_usage(sys.argv[1], processes=2, work=sys.argv[2], progress=progress)
        """
    )
    work, scratch = tmp_path / "work", tmp_path / "scratch"
    scratch.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", script, logs, work],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(scratch)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"now\n"
    os.killpg(child.pid, signal.SIGINT)
    _, told = child.communicate(timeout=60)
    assert b"KeyboardInterrupt" in told
    assert child.returncode != 0
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)
    assert list(scratch.iterdir()) == []
    assert names_in(work) == {".parts", ".spans", ".rejects", ".json"}
    check_same(sum_usage(logs, work=work), sum_usage(logs))


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_process_that_could_not_clean_up(logs: Path, tmp_path: Path, ended_by: int) -> None:
    script = textwrap.dedent(
        """
        import sys
        from aoai_cost.logs import sum_usage, workers
        workers.SECTION_BYTES = 4_000
        def progress(*numbers):
            print("now", flush=True)
            sys.stdin.read()
        sum_usage(sys.argv[1], processes=2, progress=progress)
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, logs],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"now\n"
    assert list(tmp_path.glob("aoai_cost-*"))
    child.send_signal(ended_by)
    _, told = child.communicate(timeout=60)  # until the last of its processes has closed what it writes to
    assert told == b""
    assert not list(tmp_path.glob("aoai_cost-*"))


def test_other_formats_read_anew(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sum_usage(logs, work=tmp_path / "work")
    read = watched(monkeypatch)
    monkeypatch.setattr(workers, "formats_version", lambda name: ("other", "their-logs 1.1"))
    check_same(sum_usage(logs, work=tmp_path / "work"), sum_usage(logs))
    assert read


def test_files_of_one_name_in_two_places_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name, tokens in (("one", 100), ("two", 200)):
        file = tmp_path / name / "log.jsonl"
        file.parent.mkdir()
        file.write_bytes(lines_of([usage_row(name, tokens)]))
        os.utime(file, (1_000_000_000, 1_000_000_000))
        monkeypatch.chdir(file.parent)
        found.append(sum_usage("log.jsonl", work=tmp_path / "work"))
        check_same(found[-1], sum_usage("log.jsonl"))
    assert found[0].groups != found[1].groups


@pytest.mark.parametrize("options", [{}, {"processes": 2}])
def test_a_file_that_is_cut_while_it_is_read_is_not_complete(logs: Path, options: dict[str, Any]) -> None:
    def cut(*numbers: int) -> None:
        os.truncate(logs / "a.jsonl", 0)

    found = sum_usage(logs, progress=cut, **options)
    assert [one.complete for one in found.counts.files] == [False, False]
    assert "the file became shorter while it was read" in dict(found.counts.reasons)


# ---- what can be read only once, and here


def given_open(how: str, logs: Path, *arguments: str) -> str:
    """Sum a log beside what a shell gives a process open, and return what it prints."""
    script = "\n".join(
        (
            "import sys",
            "from aoai_cost.logs import sum_usage, workers",
            "workers.SECTION_BYTES = 4_000",
            "options = {'work': sys.argv[2]} if len(sys.argv) > 2 else {'processes': 2}",
            "print(sum_usage('/dev/stdin', sys.argv[1], **options).counts.total)",
        )
    )
    command = [sys.executable, "-c", script, logs / "b.jsonl", *arguments]
    with (logs / "a.jsonl").open("rb") as file:
        into: dict[str, Any] = {"stdin": file} if how == "a file" else {"input": file.read()}
        ran = subprocess.run(command, capture_output=True, timeout=60, check=False, **into)
    return (ran.stdout + ran.stderr).decode()


@pytest.mark.parametrize("how", ["a file", "a pipe"])
def test_what_a_shell_gives_a_process_is_read_in_it(logs: Path, how: str) -> None:
    whole = sum_usage(logs / "a.jsonl", logs / "b.jsonl").counts.total
    assert given_open(how, logs) == f"{whole}\n"


def test_what_a_pipe_gives_is_not_kept(logs: Path, tmp_path: Path) -> None:
    assert "'/dev/stdin': work keeps what was read of files" in given_open("a pipe", logs, str(tmp_path / "work"))
    assert str(sum_usage(logs).counts.total) in given_open("a file", logs, str(tmp_path / "work"))


@pytest.mark.parametrize("options", [{}, {"processes": 2}])
def test_a_named_pipe_is_a_log(logs: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    whole = sum_usage(logs).counts.total
    data = (logs / "a.jsonl").read_bytes()
    (logs / "a.jsonl").unlink()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert sum_usage(logs, pipe, **options).counts.total == whole
    writer.join()


def test_a_table_that_must_be_read_from_its_end_is_no_pipe() -> None:
    command = [sys.executable, "-c", "from aoai_cost import read_usage; read_usage('/dev/stdin')"]
    ran = subprocess.run(command, input=b"PAR1" + bytes(100) + b"PAR1", capture_output=True, check=False)
    assert b"a Parquet file is not read from a pipe; write it to a file first" in ran.stderr


# ---- what goes wrong


def test_a_folder_among_the_logs_is_not_worked_in(logs: Path) -> None:
    for work in (logs, logs / "work"):
        with pytest.raises(RequestError, match=r"work.*among the logs"):
            sum_usage(logs, work=work)
    whole = sum_usage(logs)
    for _ in range(2):
        check_same(sum_usage(logs, work=logs / ".work"), whole)


def test_a_full_disk_is_told_with_the_folder(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    work = tmp_path / "work"
    monkeypatch.setattr(Runs, "append", full)
    with pytest.raises(UsageFormatError, match=r"work': cannot be written to: No space left"):
        sum_usage(logs, work=work)
    assert names_in(work) == set()


def test_files_are_closed_before_they_are_renamed(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        # Windows refuses to rename an open file.
        assert path.resolve() not in {one.resolve() for one in Path("/proc/self/fd").iterdir()}
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    check_same(sum_usage(logs, work=tmp_path / "work"), sum_usage(logs))


def test_where_no_process_can_be_started_this_one_reads_alone(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sum_usage(logs)
    real, started = subprocess.Popen, []

    def start(*args: Any, **options: Any) -> Any:
        if len(started) == 1:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        started.append(real(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    check_same(sum_usage(logs, processes=4), whole)
    [child] = started
    assert child.poll() is not None
    monkeypatch.setattr(sys, "executable", None)  # as where Python is part of another program
    check_same(sum_usage(logs, processes=2), whole)


def test_processes_import_nothing_from_where_the_user_stands(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    check_same(sum_usage(logs, processes=2), sum_usage(logs))


class OfTwoError(Exception):
    """As others write them: it can be pickled, and not be made anew."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def test_an_error_that_cannot_be_sent_is_named() -> None:
    assert repr(workers._as_sent(OfTwoError(1, 2))) == "RuntimeError('OfTwoError while logs were read')"
    error = UsageFormatError("a/b", "is not so", 7)
    assert workers._as_sent(error) is error


def test_a_row_that_strict_refuses_is_named_by_its_line_in_the_file(logs: Path) -> None:
    lines = [lines_of([usage_row(f"{i}")]) for i in range(50)]
    (logs / "a.jsonl").write_bytes(b"".join([*lines[:33], b"\n", b"nothing\n", *lines[33:]]))
    for processes in (1, 2):
        with pytest.raises(UsageFormatError) as caught:
            sum_usage(logs / "a.jsonl", strict=True, processes=processes)
        assert caught.value.line == 35


def test_an_error_passes_from_one_process_to_another() -> None:
    error = UsageFormatError("a/b", "is not so", 7)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.line) == (str(error), 7)


def test_files_without_a_known_row_are_refused(tmp_path: Path, small_sections: None) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n' * 2_000)
    with pytest.raises(UsageFormatError, match=r"line 1: .*and 1,999 more rows") as caught:
        sum_usage(tmp_path, processes=2)
    with pytest.raises(UsageFormatError) as alone:
        sum_usage(tmp_path)
    assert str(caught.value) == str(alone.value)


def test_a_process_that_ends_early_is_an_error(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UsageFormatError, match="ended early, with exit code 1"):
        sum_usage(logs, processes=2)


@pytest.mark.parametrize("processes", [0, -1, 1.5, True, "2"])
def test_processes_are_a_whole_number(logs: Path, processes: Any) -> None:
    with pytest.raises(UsageFormatError, match="processes"):
        sum_usage(logs, processes=processes)


def test_what_is_no_file_is_read_here(tmp_path: Path) -> None:
    frame = pd.DataFrame({"in": [1, 2], "out": [3, 4]})
    columns = {"prompt_tokens": "in", "completion_tokens": "out"}
    check_same(sum_usage(frame, columns=columns, processes=2), sum_usage(frame, columns=columns))
    with pytest.raises(UsageFormatError, match="work keeps"):
        sum_usage(frame, columns=columns, work=tmp_path / "work")


def test_progress_ends_at_the_last_byte_and_row(logs: Path, tmp_path: Path) -> None:
    size = sum(path.stat().st_size for path in logs.iterdir())
    whole = sum_usage(logs).counts.total
    for options in ({}, {"processes": 2}, {"work": tmp_path / "work"}, {"work": tmp_path / "work"}):
        told: list[tuple[int, ...]] = []
        sum_usage(logs, progress=lambda *numbers, told=told: told.append(numbers), **options)
        assert told[-1] == (size, size, whole.rows, whole.rejected)
        assert [one[0] for one in told] == sorted(one[0] for one in told)

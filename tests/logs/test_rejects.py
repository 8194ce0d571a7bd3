"""Rejected rows: all counted, the first listed, every one written to a file that is whole or not there."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from log_rows import body_row, check_counts, lines_of, read_bytes

from aoai_cost import RequestError, UsageFormatError, cost_report, read_usage
from aoai_cost.logs import Reject, rejects, sum_usage
from aoai_cost.logs.rejects import Rejects
from aoai_cost.render import report_json

GOOD = lines_of([body_row()])


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def listed(log: Any) -> list[dict[str, Any]]:
    frame = log.rejected.astype("object")
    return frame.where(frame.notna(), None).to_dict("records")


@pytest.mark.parametrize(
    ("data", "masked"),
    [
        pytest.param(GOOD + b'{"user": "Ada", "n": [1', ['{"user":"…","n":[0'], id="an unfinished line"),
        pytest.param(b'data: {"user": "Ad\xff"}\n' + GOOD, ['{"user":"…"}'], id="an event that is no UTF-8"),
        pytest.param(GOOD + b'{"user": "Ada", "n": 12}\n', ['{"user":"…","n":00}'], id="a row of no format"),
        pytest.param(GOOD + b'["Ada", 12]\n', ['"…"', "00"], id="records that are no objects"),
        pytest.param(GOOD + lines_of([body_row("b", prompt="Ada")])[:35] + b"\n", ['{"id":"…","object":"…'], id="cut"),
        pytest.param(GOOD + b'{"records": [{"user": "Ada"}]}\n', ['{"user":"…"}'], id="a record in a wrapper"),
        pytest.param(b'[\n{\n"user": "Ada",\n"n": 12', ['[{"user":"…","n":00'], id="a document"),
        pytest.param(gzip.compress(GOOD)[:-9], [None], id="what nobody has seen"),
        pytest.param(b"id,model\nAda,gpt,12\n", ["…,…,00"], id="a row of a table with too many cells"),
        pytest.param(b'id,model\n"Ada,12\nb,c\n', ['"…', '{"id":"…","model":"…"}'], id="a row with a quote"),
        pytest.param(b"id,model\nA\xff,12\n", ["…,00"], id="a row that is no UTF-8"),
    ],
)
def test_a_rejected_row_is_shown_masked(tmp_path: Path, data: bytes, masked: list[str | None]) -> None:
    (tmp_path / "good.jsonl").write_bytes(lines_of([body_row("good")]))
    (tmp_path / "log").write_bytes(data)
    log = read_usage(tmp_path)
    check_counts(log)
    assert [row["masked_row"] for row in listed(log)] == masked


def test_a_line_that_is_too_long_shows_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aoai_cost.sources.files.MAX_LINE_BYTES", 2 << 20)
    for end in (b"\n", b""):
        data = GOOD + b'{"user": "Ada", "content": "' + b"A" * (5 << 20) + end
        assert [row["masked_row"] for row in listed(read_bytes(tmp_path, data))] == ['{"user":"…","content":"…']


def test_a_row_of_a_frame_is_shown_masked() -> None:
    frame = pd.DataFrame({"in_tok": [1.5, 2], "who": ["Ada", "Ada"]})
    log = read_usage(frame, columns={"prompt_tokens": "in_tok", "user": "who"})
    assert [row["masked_row"] for row in listed(log)] == ['{"in_tok":0.0,"who":"…"}']


def strange_files(folder: Path) -> None:
    (folder / "a.json").write_bytes(b"1\n" * 1_000)
    (folder / "b.json").write_bytes(b"1\n" * 5 + GOOD + b"2\n" * 20 + b"3")


def test_the_first_rows_of_each_file_are_listed_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejects, "MAX_LISTED", 10)
    strange_files(tmp_path)
    log = read_usage(tmp_path)
    assert [(one.rows, one.rejected, one.complete) for one in log.counts.files] == [
        (1_000, 1_000, True),
        (27, 26, True),
    ]
    assert log.rejected["line"].tolist() == [*range(1, 11), 1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert log.counts.reasons == (("the row is not a JSON object", 1_026),)
    report = cost_report(log)
    assert [note for note in report.notes if "1,026" in note] == [
        "rows that could not be read: 1,026; they are listed as rejected and not in the total",
        "the list of rejected rows is cut: 20 of 1,026, the first of each file; "
        "rejects= writes all of them to a file (--rejects of the command)",
    ]
    assert report_json(report)["reading"]["files"][0]["rejected"] == 1_000
    monkeypatch.setattr(rejects, "MAX_LISTED_IN_ALL", 12)
    assert read_usage(tmp_path).rejected["line"].tolist() == [*range(1, 11), 1, 2]


def test_a_log_of_strange_rows_alone_counts_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejects, "MAX_LISTED", 10)
    with pytest.raises(UsageFormatError, match=r"and 1,999 more rows\); no row is of a known log format"):
        read_bytes(tmp_path, b"1\n" * 2_000)


def test_many_rejected_rows_take_little_memory(tmp_path: Path) -> None:
    program = """
import resource, sys
from aoai_cost.logs import rejects, sum_usage
rejects.MAX_LISTED = 20_000
def peak_bytes(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
sum_usage(sys.argv[1])
before = peak_bytes()
assert sum_usage(sys.argv[2]).counts.total.rejected == 100_000
print(peak_bytes() - before)
"""
    few, many = tmp_path / "few", tmp_path / "many"
    for path, n in ((few, 20_000), (many, 100_000)):
        path.write_bytes(GOOD + b"".join(b'{"user": "Ada", "n": %d}\n' % (i % 7) for i in range(n)))
    command = [sys.executable, "-c", program, str(few), str(many)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 8 << 20  # kept, they would take 300 bytes each


def test_reasons_that_differ_in_their_numbers_are_one(tmp_path: Path) -> None:
    rows = [b'{"a": ' + b"1" * i + b"\n" for i in range(1, 13)]
    log = read_bytes(tmp_path, GOOD + b"".join(rows) + b"[1]\n")
    check_counts(log)
    assert log.counts.reasons == (
        ("the line cannot be read: not JSON at character …", 12),
        ("the row is not a JSON object", 1),
    )
    assert log.counts.as_dict()["reasons"][1] == {"reason": "the row is not a JSON object", "rows": 1}


def test_reasons_without_end_are_kept_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejects, "_MOST_REASONS", 2)
    found = Rejects()
    for reason in "abcab":
        found.add(Reject("file", 1, 0, reason, None))
    assert found.reasons == (("a", 2), ("b", 2), ("other reasons", 1))


@pytest.mark.parametrize("read", [read_usage, sum_usage, cost_report])
def test_every_rejected_row_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[..., Any]
) -> None:
    logs, path = tmp_path / "logs", tmp_path / "rejects.jsonl"
    logs.mkdir()
    strange_files(logs)
    whole = listed(read_usage(logs))
    monkeypatch.setattr(rejects, "MAX_LISTED", 10)
    log = read(logs, rejects=path)
    assert (len(log.rejected), log.counts.total.rejected) == (20, 1_026)
    assert written(path) == whole
    assert list(written(path)[0]) == list(log.rejected.columns)
    assert whole[-1] == {
        "source_file": str(logs / "b.json"),
        "line": 27,
        "offset": 50 + len(GOOD),
        "reason": "the row is not a JSON object",
        "masked_row": "0",
    }
    assert sorted(one.name for one in tmp_path.iterdir()) == ["logs", "rejects.jsonl"]


def test_a_log_without_rejected_rows_writes_an_empty_file(tmp_path: Path) -> None:
    read_bytes(tmp_path, GOOD, rejects=tmp_path / "r.jsonl")
    assert (tmp_path / "r.jsonl").read_bytes() == b""


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize(
    ("data", "options", "error"),
    [
        pytest.param(b"1\n" + GOOD, {"strict": True}, UsageFormatError, id="strict"),
        pytest.param(b"1\n1\n", {}, UsageFormatError, id="no row of a known format"),
        pytest.param(GOOD, {"format": "nonsense"}, LookupError, id="an unknown format"),
        pytest.param(GOOD, {"columns": {}}, UsageFormatError, id="no columns"),
    ],
)
def test_an_error_leaves_what_was_there(
    tmp_path: Path, old: bytes | None, data: bytes, options: Any, error: type[Exception]
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "r.jsonl"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(error):
        read_bytes(tmp_path, data, rejects=path, **options)
    assert [one.read_bytes() for one in folder.iterdir()] == ([] if old is None else [old])


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    logs, out = tmp_path / "logs", tmp_path / "out"
    logs.mkdir()
    out.mkdir()
    (logs / "log.jsonl").write_bytes(GOOD + b'{"user": "Ada"}\n' * 1_000_000)
    # Whoever starts the tests in the background may have the signal ignored.
    start = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    start += "from aoai_cost.cli import main\nmain()"
    words = ["-c", start, "report", str(logs), "--rejects", str(out / "r.jsonl")]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 60
        while not any(one.stat().st_size for one in out.iterdir()) and time.monotonic() < until:
            time.sleep(0.01)
        assert any(one.stat().st_size for one in out.iterdir())
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode != 0
    assert list(out.iterdir()) == []


def test_a_file_that_is_read_is_not_written_over(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(GOOD)
    (tmp_path / "link").symlink_to(log)
    for source in (log, tmp_path):
        for path in (log, tmp_path / "link"):
            with pytest.raises(RequestError, match="would be overwritten"):
                read_usage(source, rejects=path)
    assert log.read_bytes() == GOOD
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(OSError, match="absent"):
        read_usage(log, rejects=tmp_path / "absent" / "r.jsonl")


def test_a_report_reads_a_log_as_it_is_told(tmp_path: Path) -> None:
    columns = {"prompt_tokens": "in_tok", "timestamp": "when"}
    frame = pd.DataFrame({"in_tok": [5], "when": ["2026-10-14T00:00:00Z"]})
    (tmp_path / "log.csv").write_text("in_tok,when\n7,2026-10-14T00:00:00Z\n", "utf-8")
    named = {"columns": columns, "deployment": "chat", "resource": "contoso"}
    for log, tokens in ((frame, 5), ([frame, tmp_path / "log.csv"], 12), (tmp_path / "log.csv", 7)):
        found = cost_report(log, **named)  # type: ignore[arg-type]
        assert found.frame[["resource", "deployment", "input"]].to_numpy().tolist() == [["contoso", "chat", tokens]]
    sums = sum_usage(frame, **named)  # type: ignore[arg-type]
    assert cost_report(sums).frame.equals(cost_report(read_usage(frame, **named)).frame)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="read already"):
        cost_report(sums, strict=True)
    with pytest.raises(UsageFormatError, match="not a JSON object"):
        cost_report(_bad(tmp_path), strict=True)
    with pytest.raises(TypeError, match="colour"):
        cost_report(frame, columns=columns, colour="red")  # type: ignore[call-arg]


def _bad(folder: Path) -> Path:
    path = folder / "bad.jsonl"
    path.write_bytes(b"1\n" + GOOD)
    return path

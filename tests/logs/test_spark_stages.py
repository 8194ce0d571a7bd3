"""The stages of a report on Spark, with a shuffle of the test's own between them: the sums are those of one process."""

from __future__ import annotations

import gzip
import json
import pickle
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from answer_rows import CREATED, page_of, sum_row, transcribed_row
from log_rows import ACCOUNT, body_row, check_same, csv_of, lines_of, metrics_answer, status_row, usage_row
from tracer_rows import litellm_row, otlp, span

from aoai_cost.errors import AoaiCostError, UsageFormatError
from aoai_cost.logs import UsageSums, parts, rejects, sum_usage, work_folder, workers
from aoai_cost.logs.meters import LoggedHours
from aoai_cost.logs.parts import PART, PartTable
from aoai_cost.logs.reading import Options, Reading
from aoai_cost.logs.rejects import Rejects
from aoai_cost.sources.files import find_files
from aoai_cost.sources.period import asked_period
from aoai_cost.spark import stages
from aoai_cost.spark.stages import ROWS, TASKS, Stages, assign, gather, what_is_known

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "logs"


@pytest.fixture(autouse=True)
def small_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SECTION_BYTES", 4_000)


def batches_of(rows: Sequence[Sequence[Any]], schema: pa.Schema, made: random.Random) -> Iterator[pa.RecordBatch]:
    """Yield rows in batches of any sizes, also none."""
    start = 0
    while start < len(rows):
        end = start + made.randint(0, 40)
        columns = list(zip(*rows[start:end], strict=True)) or [()] * len(schema)
        yield pa.record_batch([pa.array(one, two.type) for one, two in zip(columns, schema, strict=True)], schema)
        start = end


def rows_of(batches: Iterator[pa.RecordBatch]) -> list[tuple[Any, ...]]:
    found = []
    for batch in batches:
        assert batch.schema == ROWS
        found += list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return found


def on_a_cluster(
    *paths: Path, seed: int = 1, n_workers: int = 3, since: Any = None, until: Any = None, **given: Any
) -> UsageSums:
    """Read as Spark does: tasks and partitions anywhere, their rows in any order and in any batches."""
    made = random.Random(seed)
    read = {"format": "auto", "columns": None, "deployment": None, "resource": None, "strict": False} | given
    options = Options.of(**read, period=asked_period(since, until))
    files = find_files(paths)
    tasks, sections = assign(files, options)
    made.shuffle(tasks)
    stages = Stages(options)
    rows = run(stages.read, [tasks[worker::n_workers] for worker in range(n_workers)], TASKS, made)
    found = run(stages.resolve, shuffled(rows, n_workers, made), ROWS, made)
    if not stages.fits(known := what_is_known(found)):
        stages = Stages(options, known)
        rows = run(stages.read, [tasks[worker::n_workers] for worker in range(n_workers)], TASKS, made)
        if stages.spans:
            rows = run(stages.settle, shuffled(rows, n_workers, made), ROWS, made)
        found = run(stages.resolve, shuffled(rows, n_workers, made), ROWS, made)
    made.shuffle(found)
    return gather(found, files, sections, options)


def run(stage: Any, given: Sequence[Sequence[Any]], schema: pa.Schema, made: random.Random) -> list[tuple[Any, ...]]:
    """Run a stage on several workers."""
    return [row for rows in given for row in rows_of(pickle.loads(pickle.dumps(stage))(batches_of(rows, schema, made)))]


def shuffled(rows: list[tuple[Any, ...]], n_workers: int, made: random.Random) -> list[list[tuple[Any, ...]]]:
    """Return the rows of each worker: those of a partition together, sorted."""
    made.shuffle(rows)
    rows.sort(key=lambda row: row[:3])
    return [[row for row in rows if row[0] % n_workers == worker] for worker in range(n_workers)]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Write files whose calls, copies, halves and broken lines are spread over all: plain, packed, cut off, strange."""
    made = random.Random(3)
    rows = [row for i in range(90) for row in (usage_row(f"{i}", i, 1), status_row(f"{i}"))]
    rows += made.sample(rows, 40) + [usage_row(f"{i}", i + 1, 2) for i in range(0, 90, 10)]
    lines = [*lines_of(rows).splitlines(keepends=True), b"nothing\n", b"\n", b'{"a": 1}\n', b"[1, 2]\r\n"] * 2
    made.shuffle(lines)
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(lines_of([usage_row("first")]) + b"".join(lines[::4]))
    (folder / "b.jsonl").write_bytes(lines_of([usage_row("first")]) + b"".join(lines[1::4]) + b'{"half": ')
    (folder / "c.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[2::4])))
    whole = gzip.compress(b"".join(lines[3::4]) * 3)
    (folder / "d.jsonl.gz").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "e").write_bytes(bytes(range(256)) * 40)
    (folder / "empty").write_bytes(b"")
    return folder


# ---- the same sums


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_workers", [1, 5])
def test_calls_that_are_spread_over_all_files_add_up_as_in_one_process(logs: Path, seed: int, n_workers: int) -> None:
    whole = sum_usage(logs)
    total = whole.counts.total
    assert total.rejected > 10
    assert total.duplicates > 100
    assert total.joined > 80
    assert total.conflicts == 9
    assert not whole.complete
    check_same(on_a_cluster(logs, seed=seed, n_workers=n_workers), whole)


def test_the_example_log_is_the_same() -> None:
    check_same(on_a_cluster(EXAMPLES), sum_usage(EXAMPLES))


def test_all_samples_together_are_the_same(test_data: Path) -> None:
    whole = sum_usage(test_data / "samples")
    assert len(whole.formats) > 5
    assert whole.comparisons
    assert any(group.aggregated for _, group in whole.groups)
    check_same(on_a_cluster(test_data / "samples"), whole)


@pytest.mark.parametrize("named", ["azure-metrics", "azure-storage", "openai-responses"])
def test_each_kind_of_row_is_the_same_alone(test_data: Path, named: str) -> None:
    check_same(on_a_cluster(test_data / "samples" / named), sum_usage(test_data / "samples" / named))


def test_rows_beyond_memory_are_the_same(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sum_usage(logs)
    monkeypatch.setattr(parts, "LIMIT_BYTES", 3 * parts.PART.itemsize)
    monkeypatch.setattr(stages, "_RECORDS_AT_ONCE", 2)
    check_same(on_a_cluster(logs), whole)


def test_names_that_are_given_reach_the_calls(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.jsonl").write_bytes(lines_of([body_row(id=f"{i % 2}-{j}") for j in range(40)]))
    given = {"deployment": "chat", "resource": "Contoso"}
    found = on_a_cluster(tmp_path, **given)
    assert {(key.deployment, key.resource) for key, _ in found.groups} == {("chat", "contoso")}
    assert found.counts.total.duplicates == 40
    check_same(found, sum_usage(tmp_path, **given))


def test_other_quantities_than_tokens_are_the_same(tmp_path: Path) -> None:
    for i in range(3):
        rows = [transcribed_row(f"{i}-{j}", {"type": "duration", "seconds": i + j % 5}) for j in range(40)]
        (tmp_path / f"{i}.jsonl").write_bytes(lines_of(rows))
    whole = sum_usage(tmp_path)
    assert sum(sum(one.usage.values()) for _, one in whole.groups) == 1_000 * 8 * 5 * (3 * 2 + 3)
    check_same(on_a_cluster(tmp_path), whole)


def test_rows_without_an_identity_are_calls_of_their_own_in_every_file(tmp_path: Path) -> None:
    row = body_row()
    del row["id"]
    for name in "abc":
        (tmp_path / name).write_bytes(lines_of([row]) * 10)
    whole = sum_usage(tmp_path)
    assert whole.counts.total.requests == 30
    check_same(on_a_cluster(tmp_path), whole)


def test_a_map_of_columns_reads_any_table(tmp_path: Path) -> None:
    rows = [{"in": i, "out": 2, "id": f"{i % 150}"} for i in range(300)]
    (tmp_path / "a.csv").write_text(csv_of(rows))
    (tmp_path / "b.jsonl").write_bytes(lines_of(rows))
    columns = {"prompt_tokens": "in", "completion_tokens": "out", "request_id": "id"}
    whole = sum_usage(tmp_path, columns=columns)
    assert (whole.counts.total.requests, whole.counts.total.duplicates) == (150, 450)
    check_same(on_a_cluster(tmp_path, columns=columns), whole)


# ---- rows that sum calls


@pytest.fixture
def metered(tmp_path: Path) -> Path:
    """Write calls of some hours, and the metrics of more hours, of that deployment and another."""
    folder = tmp_path / "metered"
    folder.mkdir()
    hours = ("02", "03", "05")
    calls = [usage_row(f"{hour}-{i}", EnqueueTime=f"2026-10-14T{hour}:10:00Z") for hour in hours for i in range(60)]
    (folder / "calls.jsonl").write_bytes(lines_of(calls))
    sums = {f"{hour:02}:00": 1_000 + hour for hour in range(24)}
    series = [
        (metric, {"ModelDeploymentName": name}, sums)
        for metric in ("ProcessedPromptTokens", "GeneratedTokens")
        for name in ("chat", "other")
    ]
    (folder / "metrics.json").write_text(json.dumps(metrics_answer(*series)))
    (folder / "again.json").write_text(json.dumps(metrics_answer(*series[:2])))
    return folder


@pytest.mark.parametrize("seed", range(3))
def test_metrics_of_hours_whose_calls_were_logged_are_left_out(metered: Path, seed: int) -> None:
    whole = sum_usage(metered)
    assert ACCOUNT.lower() in {key.resource for key, _ in whole.groups}
    prompts = {
        name: sum(one.usage.get("input", 0) for key, one in whole.groups if key.deployment == name)
        for name in ("chat", "other")
    }
    assert prompts["chat"] == 180 * 100 + sum(1_000 + hour for hour in range(24) if hour not in (2, 3, 5))
    assert prompts["other"] == sum(1_000 + hour for hour in range(24))
    check_same(on_a_cluster(metered, seed=seed), whole)


def test_hours_are_told_only_where_something_sums_calls(metered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str, int, int]] = []
    real = LoggedHours.learn_spans
    monkeypatch.setattr(LoggedHours, "learn_spans", lambda self, spans: (told.extend(spans), real(self, spans))[1])
    on_a_cluster(metered / "calls.jsonl")
    assert told == []
    on_a_cluster(metered)
    assert {one[:2] for one in told} == {(ACCOUNT.lower(), "chat")}
    first = (datetime(2026, 10, 14, 2) - datetime(1970, 1, 1)) // timedelta(hours=1)
    assert {hour for *_, begin, end in told for hour in range(begin, end + 1)} == {first, first + 1, first + 3}


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ([], []),
        ([5], [(5, 5)]),
        ([7, 5, 6, 9, 12, 11], [(5, 7), (9, 9), (11, 12)]),
    ],
    ids=["none", "one", "some without a gap"],
)
def test_hours_without_a_gap_are_one_span(hours: list[int], expected: list[tuple[int, int]]) -> None:
    shared = Reading(Options(), PartTable(), PartTable(), Rejects()).shared
    logged, again = LoggedHours(shared, []), LoggedHours(shared, [])
    logged.learn_spans([(name, "chat", hour, hour) for hour in hours for name in ("one", "two")])
    assert logged.spans() == [(name, "chat", *span) for name in ("one", "two") for span in expected]
    again.learn_spans(logged.spans())
    assert again.spans() == logged.spans()


# ---- calls that are told by more than their rows


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    """Write spans of frameworks around those of calls, in other files: of the same answer, of none, and copies."""
    folder = tmp_path / "nested"
    folder.mkdir()
    outer: list[Any] = []
    inner: list[Any] = []
    for i in range(120):
        trace = f"{i % 11:032x}"
        answers = {0: ..., 1: f"chatcmpl-i{i}", 2: f"chatcmpl-other-{i}"}
        outer.append(otlp(span(f"o{i}", {"gen_ai.response.id": answers[i % 3], "user.id": f"u{i % 5}"}, traceId=trace)))
        inner.append(otlp(span(f"i{i}", parentSpanId=f"span-o{i}", traceId=trace)))
    (folder / "a.jsonl").write_bytes(lines_of([*outer[::2], *inner[1::2], usage_row(), status_row()]))
    (folder / "b.jsonl").write_bytes(lines_of([*inner[::2], *outer[1::2], *outer[:20]]))
    (folder / "c.jsonl.gz").write_bytes(gzip.compress(lines_of([*inner[::7], *outer[::5]])))
    return folder


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_workers", [1, 4])
def test_spans_around_calls_are_not_counted(nested: Path, seed: int, n_workers: int) -> None:
    whole = sum_usage(nested)
    total = whole.counts.total
    # Of each call the innermost span, and the outer one where it names another answer.
    assert total.requests == 120 + 40 + 1
    assert total.joined == 80 + 1
    check_same(on_a_cluster(nested, seed=seed, n_workers=n_workers), whole)


def test_spans_beyond_memory_are_the_same(nested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sum_usage(nested)
    monkeypatch.setattr(parts, "LIMIT_BYTES", 3 * PART.itemsize)
    monkeypatch.setattr(stages, "_RECORDS_AT_ONCE", 2)
    found = on_a_cluster(nested)
    assert found.groups == whole.groups
    assert found.counts.total == whole.counts.total


def test_spans_and_rows_that_sum_calls_go_together(nested: Path, metered: Path) -> None:
    check_same(on_a_cluster(nested, metered), sum_usage(nested, metered))


@pytest.mark.parametrize("missing", [None, 0, 3, 5], ids=["all pages", "no first", "no fourth", "no last"])
def test_pages_after_which_more_would_follow_are_told(tmp_path: Path, missing: int | None) -> None:
    sums = [sum_row(user_id=f"{j}") for j in range(9)]
    pages = [page_of(*sums, has_more=n < 5, start=CREATED + 3_600 * n) for n in range(6)]
    for n, page in enumerate(pages):
        if n != missing:
            (tmp_path / f"{n % 3}-{n}.jsonl").write_bytes(lines_of([page]))
    whole = sum_usage(tmp_path)
    assert whole.counts.total.rejected == (0 if missing in (None, 0) else 1)
    for seed in range(3):
        check_same(on_a_cluster(tmp_path, seed=seed), whole)


@pytest.mark.parametrize("seed", range(3))
def test_calls_that_several_sources_saw_are_counted_in_one(tmp_path: Path, seed: int) -> None:
    for hour in range(6):
        at = f"2026-10-14T{hour:02}:03:59.9460000Z"
        rows = [usage_row(f"{hour}-{i}", EnqueueTime=at) for i in range(40 if hour != 3 else 4)]
        (tmp_path / f"{hour}-account.jsonl").write_bytes(lines_of(rows))
        address = "https://one.openai.azure.com/openai/"
        rows = [litellm_row(f"{hour}-{i}", startTime=at, api_base=address) for i in range(30)]
        (tmp_path / f"{hour}-proxy.jsonl").write_bytes(lines_of(rows[: hour * 10]))
    whole = sum_usage(tmp_path)
    assert {one.primary for one in whole.comparisons} == {"azure-monitor", "litellm"}
    assert whole.counts.total.elsewhere == 10 + 20 + 4 + 30 + 30
    check_same(on_a_cluster(tmp_path, seed=seed), whole)


def test_only_calls_of_a_time_count(logs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "times"
    folder.mkdir()
    rows = [usage_row(f"{i}", EnqueueTime=f"2026-10-14T{i % 24:02}:10:00Z") for i in range(200)]
    (folder / "a.jsonl").write_bytes(lines_of(rows[::2]))
    untimed = [usage_row(f"no {i}", EnqueueTime=...) for i in range(30)]
    (folder / "b.jsonl").write_bytes(lines_of([*rows[1::2], *untimed]))
    time = {"since": datetime(2026, 10, 14, 5), "until": datetime(2026, 10, 14, 9)}
    whole = sum_usage(folder, **time)
    assert 0 < whole.counts.total.requests < 50
    assert whole.counts.total.rejected == 30
    check_same(on_a_cluster(folder, **time), whole)
    error = caught_by(lambda: sum_usage(folder, strict=True, **time))
    assert caught_by(lambda: on_a_cluster(folder, strict=True, **time)) == error


def test_rejected_rows_beyond_those_that_are_listed_are_counted(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rejects, work_folder):
        monkeypatch.setattr(module, "MAX_LISTED", 3)
    lines = [b"nothing %d\n" % i if i % 3 else b'{"a": 1}\n' for i in range(1_500)]
    (logs / "f.jsonl").write_bytes(b"".join(lines))
    whole = sum_usage(logs)
    assert len(whole.rejected) < 20
    assert sum(rows for _, rows in whole.counts.reasons) > 1_500
    check_same(on_a_cluster(logs), whole)


# ---- what goes wrong


def caught_by(read: Callable[[], UsageSums]) -> tuple[type[Exception], dict[str, Any]]:
    with pytest.raises(AoaiCostError) as caught:
        read()
    return type(caught.value), vars(caught.value)


def test_strict_raises_on_the_first_row_of_the_first_file(logs: Path) -> None:
    error = caught_by(lambda: sum_usage(logs, strict=True))
    assert error[1]["line"] > 1
    for seed in range(3):
        assert caught_by(lambda seed=seed: on_a_cluster(logs, strict=True, seed=seed)) == error


def test_a_file_that_a_worker_does_not_find_is_an_error(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = stages.assign

    def assign_and_delete(*given: Any) -> Any:
        made = real(*given)
        (logs / "c.jsonl.gz").unlink()
        return made

    monkeypatch.setitem(globals(), "assign", assign_and_delete)
    kind, told = caught_by(lambda: on_a_cluster(logs))
    assert kind is UsageFormatError
    assert told["source"].endswith("c.jsonl.gz")
    assert "No such file" in told["reason"]


def test_files_without_a_known_row_are_refused_in_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n' * 2_000)
    assert caught_by(lambda: on_a_cluster(tmp_path)) == caught_by(lambda: sum_usage(tmp_path))


def test_a_column_that_no_row_has_is_refused_in_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"in": 1, "out": 2}\n' * 2_000)
    columns = {"prompt_tokens": "in", "completion_tokens": "out", "model": "model_name"}
    error = caught_by(lambda: sum_usage(tmp_path, columns=columns))
    assert error[1]["column"] == "model_name"
    assert caught_by(lambda: on_a_cluster(tmp_path, columns=columns)) == error


def test_a_worker_with_another_package_is_an_error(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stages._package
    versions = iter(range(1_000))
    monkeypatch.setattr(stages, "_package", lambda formats: (*made(formats), f"a format of worker {next(versions)}"))
    kind, told = caught_by(lambda: on_a_cluster(logs))
    assert kind is UsageFormatError
    assert "another version" in told["reason"]


def test_a_partition_that_comes_to_two_workers_is_an_error(logs: Path) -> None:
    options = Options()
    files = find_files((logs,))
    tasks, sections = assign(files, options)
    made = random.Random(1)
    between = sorted(rows_of(Stages(options).read(batches_of(tasks, TASKS, made))), key=lambda row: row[:3])
    halves = [Stages(options).resolve(batches_of(half, ROWS, made)) for half in (between[::2], between[1::2])]
    found = [row for half in halves for row in rows_of(half)]
    with pytest.raises(RuntimeError, match="two workers"):
        gather(found, files, sections, options)


# ---- what is sent


def test_what_goes_to_a_worker_is_names_and_no_code() -> None:
    sent = pickle.dumps(Stages(Options()).read)
    assert len(sent) < 2_000
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer).__qualname__)"
    done = subprocess.run([sys.executable, "-c", program], input=sent, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "Stages.read"


def test_files_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.jsonl").write_bytes(lines_of([usage_row(), status_row()]))
    monkeypatch.chdir(tmp_path)
    options, files = Options(), find_files((Path("log.jsonl"),))
    tasks, sections = assign(files, options)
    monkeypatch.chdir("/")
    made = random.Random(1)
    between = sorted(rows_of(Stages(options).read(batches_of(tasks, TASKS, made))), key=lambda row: row[:3])
    found = gather(rows_of(Stages(options).resolve(batches_of(between, ROWS, made))), files, sections, options)
    assert [(one.source_file, one.requests) for one in found.counts.files] == [("log.jsonl", 1)]


def test_a_row_of_records_is_small_and_has_no_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SECTION_BYTES", 1 << 30)
    secret = "how much is the fish"
    rows = [body_row(id=str(i), choices=[{"message": {"content": secret}}]) for i in range(10_000)]
    (tmp_path / "log.jsonl").write_bytes(lines_of(rows))
    options = Options()
    tasks, _ = assign(find_files((tmp_path,)), options)
    between = rows_of(Stages(options).read(batches_of(tasks, TASKS, random.Random(1))))
    sizes = [len(records) for *_, records, _ in between if records is not None]
    assert sum(sizes) == 10_000 * PART.itemsize
    assert max(sizes) <= 128 * PART.itemsize
    assert max(len(told) for *_, told in between) < 10_000
    assert not any(secret.encode() in (records or b"") + told for *_, records, told in between)


def test_nothing_is_left_on_disk(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(parts, "LIMIT_BYTES", 100 * PART.itemsize)
    on_a_cluster(logs)
    assert list(scratch.iterdir()) == []

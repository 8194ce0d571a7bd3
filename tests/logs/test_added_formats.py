"""Formats that other packages add by an entry point."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from log_rows import calls_of, check_counts, lines_of, read_rows, usage_row
from test_public import loaded_by

from aoai_cost import LogFormatError, UnknownNameError, UsageFormatError
from aoai_cost.cli import main
from aoai_cost.logs import LOG_FORMATS, sum_usage, workers
from aoai_cost.logs.formats import GROUP

GOOD = """
from aoai_cost.logs import Facets, LogFormat, Part, PartKind, Tokens

def read(record):
    tokens = Tokens(prompt_tokens=record["theirs"], completion_tokens=0)
    return (str(record["id"]),), Part(PartKind.USAGE, "", Facets(model="gpt-4o"), None, tokens)

FORMAT = LogFormat("theirs", lambda record: "theirs" in record, read)
TAKEN = LogFormat("litellm", lambda record: False, read)
AUTO = LogFormat("auto", lambda record: False, read)
TEXT = "no format"
"""
ROWS = [{"theirs": 7, "id": 1}, {"theirs": 7, "id": 1}, usage_row()]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path where packages are installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder
    for name in [name for name in sys.modules if name.startswith("their_")]:
        del sys.modules[name]


def install(site: Path, name: str, module: str, code: str, *entries: str) -> None:
    (site / f"{module}.py").write_text(code)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *entries, ""]))


def test_a_package_adds_a_format(site: Path, tmp_path: Path) -> None:
    install(site, "their-logs", "their_logs", GOOD, "theirs = their_logs:FORMAT")
    logs = tmp_path / "logs"
    logs.mkdir()
    log = read_rows(logs, ROWS)
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.duplicates) == (2, 1)
    assert sorted(log.frame["source_format"]) == ["azure-monitor", "theirs"]
    only = read_rows(logs, ROWS, format="theirs")
    assert [call["prompt_tokens"] for call in calls_of(only)] == [7]
    assert len(only.rejected) == 1
    with pytest.raises(UnknownNameError, match="theirs"):
        read_rows(logs, ROWS, format="their")
    assert "theirs" not in LOG_FORMATS


def test_the_command_knows_it_too(site: Path, tmp_path: Path) -> None:
    install(site, "their-logs", "their_logs", GOOD, "theirs = their_logs:FORMAT")
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines_of(ROWS))
    result = CliRunner().invoke(main, ["report", str(path), "--format", "Theirs", "--json"])
    assert result.exit_code == 3, result.output
    assert json.loads(result.stdout)["requests"] == 1


@pytest.mark.parametrize(
    ("code", "entry", "reason"),
    [
        pytest.param("raise OSError('secret')", "theirs = their_logs:FORMAT", "cannot be loaded.*OSError", id="raises"),
        pytest.param(GOOD, "theirs = their_logs:NOTHING", "cannot be loaded.*AttributeError", id="nothing there"),
        pytest.param(GOOD, "theirs = their_other:FORMAT", "cannot be loaded.*ModuleNotFound", id="no such module"),
        pytest.param(GOOD, "theirs = their_logs:TEXT", "not a LogFormat", id="something else"),
        pytest.param(GOOD, "theirs = their_logs:TAKEN", "'litellm' is taken", id="a name of ours"),
        pytest.param(GOOD, "theirs = their_logs:AUTO", "'auto' is taken", id="a name that means something"),
    ],
)
def test_a_broken_package_is_named(site: Path, tmp_path: Path, code: str, entry: str, reason: str) -> None:
    install(site, "their-logs", "their_logs", code, entry)
    with pytest.raises(LogFormatError, match=f"'theirs' of the package 'their-logs': .*{reason}") as caught:
        read_rows(tmp_path, ROWS)
    assert (caught.value.package, caught.value.entry) == ("their-logs", "theirs")
    assert "secret" not in str(caught.value)
    # Who names a format of ours does not depend on what others have installed.
    assert len(read_rows(tmp_path, ROWS, format="azure-monitor").frame) == 1


def test_two_packages_cannot_take_one_name(site: Path, tmp_path: Path) -> None:
    install(site, "their-logs", "their_logs", GOOD, "theirs = their_logs:FORMAT")
    install(site, "their-twin", "their_twin", GOOD, "twin = their_twin:FORMAT")
    with pytest.raises(LogFormatError, match="'twin' of the package 'their-twin'"):
        read_rows(tmp_path, ROWS)


def test_importing_looks_for_no_package() -> None:
    code = """
import importlib.metadata
def refuse(**group):
    raise AssertionError(group)
importlib.metadata.entry_points = refuse
import aoai_cost.logs, aoai_cost
aoai_cost.read_usage
"""
    assert "aoai_cost.logs.reader" in loaded_by(code)


@pytest.mark.parametrize("when", ["it reads", "it is imported"])
def test_what_a_format_prints_harms_nobody(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    noise = "import os; os.write(1, b'noise')"
    code = GOOD.replace("record):", f"record):\n    {noise}", 1) if when == "it reads" else f"{noise}\n{GOOD}"
    install(site, "their-logs", "their_logs", code, "theirs = their_logs:FORMAT")
    (tmp_path / "log").write_bytes(lines_of([{"theirs": 7, "id": i} for i in range(500)]))
    monkeypatch.setattr(workers, "SECTION_BYTES", 500)
    assert sum_usage(tmp_path / "log", processes=2).counts == sum_usage(tmp_path / "log").counts


def test_what_is_no_answer_ends_a_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talking = tmp_path / "talking"
    talking.write_text("#!/bin/sh\necho noise; exec sleep 60\n")
    talking.chmod(0o755)
    (tmp_path / "log").write_bytes(lines_of([usage_row(f"{i}") for i in range(100)]))
    monkeypatch.setattr(workers, "SECTION_BYTES", 2_000)
    monkeypatch.setattr(sys, "executable", str(talking))
    with pytest.raises(UsageFormatError, match="ended early"):
        sum_usage(tmp_path / "log", processes=2)

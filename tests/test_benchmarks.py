"""The benchmark's arithmetic and its tables, on made-up times; nothing is timed and no peer is needed."""

from __future__ import annotations

import tomllib
from array import array
from pathlib import Path
from typing import Any

import bench_requests
import compare
import numpy as np
import peers
import pytest
import table
import worker
from reference_tokens import tiktoken_encoding

CELLS: table.Cells = {
    ("fresh", "lists", "code"): {"aoai-cost": [0.2, 0.1, 0.3], "tiktoken": [1.0, 2.0, 3.0], "slow": [4.0, 4.0, 4.0]},
    ("fresh", "count", "code"): {"aoai-cost": [0.05, 0.05, 0.05]},
    ("warm", "lists", "code"): {"aoai-cost": [0.2, 0.1, 0.3], "tiktoken": [1.0, 2.0, 3.0]},
    ("small", "lists", "19 bytes"): {"aoai-cost": [2e-7], "tiktoken": [1e-6]},
    ("load", "", ""): {"aoai-cost": [0.01], "tiktoken": [0.25]},
}
RESULT: dict[str, Any] = {
    "date": "2026-10-01",
    "commit": "abc",
    "machine": {"cpu": "one"},
    "encoding": "o200k_base",
    "rounds": 3,
    "versions": {"aoai-cost": "1", "tiktoken": "1", "slow": "1"},
    "bytes": {"code": [1_000_000, 2_000_000]},
    "differences": {"slow": {"code": ["lists of 'a': [1] where tiktoken has [2], from 0"]}},
}


def test_a_ratio_is_of_medians_and_of_the_best_where_it_can_be_repeated() -> None:
    assert table.ratios("fresh", CELLS["fresh", "lists", "code"]) == {"aoai-cost": 10, "tiktoken": 1, "slow": 0.5}
    assert table.ratios("warm", CELLS["warm", "lists", "code"]) == {"aoai-cost": 10, "tiktoken": 1}
    assert table.ratios("fresh", CELLS["fresh", "count", "code"]) == {}


def test_a_tokenizer_without_a_count_counts_by_its_fastest_call() -> None:
    cells = table.fastest_count({**CELLS, ("fresh", "flat", "code"): {"tiktoken": [1.0, 1.5, 3.0]}})
    assert cells["fresh", "count", "code"] == {
        "aoai-cost": [0.05, 0.05, 0.05],
        "tiktoken": [1.0, 1.5, 3.0],
        "slow": [4.0, 4.0, 4.0],
    }
    assert cells["fresh", "lists", "code"] == CELLS["fresh", "lists", "code"]


def test_the_tables_mark_what_differs_and_give_tiktoken_in_megabytes() -> None:
    lines = table.tables(table.fastest_count(CELLS), RESULT).splitlines()
    fresh = lines[lines.index("### o200k_base: lists, fresh") :]
    assert fresh[2:7] == [
        "| times tiktoken | code |",
        "| --- | ---: |",
        "| aoai-cost | 10.0 |",
        "| tiktoken | 1.0 MB/s |",
        "| slow! | 0.50! |",
    ]
    assert "| aoai-cost | 10 ms | 200 ns | - | - | 200 ns | - | - |" in lines


def test_a_saved_run_reads_back_and_compares(tmp_path: Path) -> None:
    table.save(RESULT, CELLS, tmp_path / "new" / "run.json")
    result, cells = table.read(tmp_path / "new" / "run.json")
    assert (result, cells) == (RESULT, CELLS)
    faster = {**CELLS, ("load", "", ""): {"aoai-cost": [0.005], "tiktoken": [0.25]}}
    rows = compare.changes(CELLS, faster, "aoai-cost")
    assert rows[-1] == ["load", "", "25.00", "50.00", "+100%"]
    assert [row[0] for row in rows] == ["lists fresh", "lists warm", "lists small", "load"]


@pytest.mark.parametrize(
    "result",
    [
        pytest.param([1, 2, 3], id="a list"),
        pytest.param([[1, 2], [3]], id="lists"),
        pytest.param(array("I", [1, 2, 3]).tobytes(), id="bytes"),
        pytest.param((np.array([1, 2, 3], dtype=np.uint32), np.array([0, 3])), id="ids and offsets"),
        pytest.param([np.array([1, 2]), np.array([3])], id="arrays"),
    ],
)
def test_ids_are_read_from_whatever_holds_them(result: object) -> None:
    assert peers.numbers(result) == [1, 2, 3]


def test_the_parts_of_a_text_share_no_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\nfour\n")
    assert worker.read_parts(tmp_path / "a.txt") == ("one\ntwo\n", "three\nfour\n")
    (tmp_path / "a.jsonl").write_text('"on\\ne"\n{"a": 1}\nnot JSON\n"\u2028"\n', encoding="utf-8")
    assert worker.read_parts(tmp_path / "a.jsonl") == (["on\ne"], ['{"a": 1}', "not JSON", "\u2028"])


def test_this_package_answers_as_tiktoken_and_a_wrong_answer_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello\nworld\n")
    (tmp_path / "b.jsonl").write_text('"hello"\n"hello world"\n')
    reference = peers.Calls(lists=tiktoken_encoding("o200k_base").encode_ordinary)
    ours = peers.load_aoai_cost("o200k_base", tmp_path)
    paths = sorted(tmp_path.iterdir())
    assert worker.differences(ours, reference, paths) == {}
    wrong = peers.Calls(lists=ours.lists, count=lambda text: 99, batch={"flat": lambda texts: b"\0\0\0\0"})
    found = worker.differences(wrong, reference, paths)
    assert found["a"][0] == r"count of 'hello\n': [99] where tiktoken has [2], from 0"
    assert found["b"][0].startswith("count, flat of 1 texts: [0] where tiktoken has ")
    assert len(found["traps"]) == len(worker.TRAPS)


def test_a_vocabulary_in_the_form_of_tokenizer_json() -> None:
    ranks = {b"a": 0, b" ": 1, b"aa": 2, b" a": 3, b"aaa": 4}
    model = peers.tokenizer_json(ranks, "a+")["model"]
    assert model["vocab"] == {"a": 0, "Ġ": 1, "aa": 2, "Ġa": 3, "aaa": 4}
    assert model["merges"] == [["a", "a"], ["Ġ", "a"], ["a", "aa"], ["aa", "a"]]


def test_every_peer_of_the_extra_has_an_adapter() -> None:
    extras = tomllib.loads((table.ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    names = {line.partition(">=")[0] for line in extras["peers"]}
    assert names == set(peers.TOKENIZERS) - {table.US, table.REFERENCE}


@pytest.mark.parametrize("case", bench_requests.cases(), ids=lambda case: case.name)
def test_what_is_asked_about_requests_is_counted_right(case: bench_requests.Case) -> None:
    assert bench_requests.check(case) > 8
    assert set(bench_requests.peers(case, None)) == ({"cookbook"} if "messages" in case.bodies[0] else set())


def test_the_table_of_requests_leaves_out_what_was_not_asked() -> None:
    times = {"small": {"text": 5.0, "estimate": 10.0}, "large": {"text": 50.0, "estimate": 25.0, "peer": 100.0}}
    assert bench_requests.table(times).splitlines()[2:] == [
        "| small | 0.50 | - | 10 µs |",
        "| large | 2.00 | 4.00 | 25 µs |",
    ]

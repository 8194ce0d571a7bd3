"""Equality with tiktoken on real text and on text written to break things."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from reference_tokens import tiktoken_encoding

from aoai_cost import get_encoding

NAMES = ("cl100k_base", "o200k_base", "p50k_base", "r50k_base")


@pytest.mark.parametrize("name", NAMES)
def test_every_corpus(name: str, test_data: Path) -> None:
    ours, theirs = get_encoding(name), tiktoken_encoding(name)
    paths = sorted(path for path in (test_data / "corpora").iterdir() if path.suffix in (".txt", ".jsonl"))
    assert len(paths) >= 12
    for path in paths:
        text = path.read_text("utf-8")
        ids = theirs.encode_ordinary(text)
        assert ours.encode_ordinary(text) == ids, path.name
        assert ours.count(text) == len(ids), path.name
        assert ours.decode(ids) == text, path.name
        lines = text.splitlines(keepends=True)
        counts = ours.count_batch(lines, threads=2).tolist()
        assert counts == [len(ids) for ids in theirs.encode_ordinary_batch(lines, num_threads=2)], path.name


def hostile_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of every hostile text; a file of bytes is read as UTF-8 with what is none replaced."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text("utf-8").split("\n"):
            if line:
                item = json.loads(line)
                yield item["id"], item["s"] if "s" in item else item["unit"] * item["n"]
    for path in sorted(folder.glob("*.bin")):
        yield path.stem, path.read_bytes().decode("utf-8", errors="replace")


@pytest.mark.parametrize("name", NAMES)
def test_every_hostile_text(name: str, test_data: Path) -> None:
    ours, theirs = get_encoding(name), tiktoken_encoding(name)
    found = list(hostile_texts(test_data / "hostile" / "text"))
    assert len(found) >= 7_255
    for key, text in found:
        count = ours.count(text)
        assert count == len(ours.encode_ordinary(text)), key
        # tiktoken itself gives up on runs of a million blanks and newlines; on nothing else here.
        if len(text) < 1_000_000 or not text.isspace():
            assert count == len(theirs.encode_ordinary(text)), key


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_the_recorded_counts_of_hostile_texts(name: str, test_data: Path) -> None:
    recorded = json.loads((test_data / "hostile" / "gold.json").read_text("utf-8"))["text"]
    # The last of texts that share an id is the one whose count was kept.
    counts = {key: get_encoding(name).count(text) for key, text in hostile_texts(test_data / "hostile" / "text")}
    compared = {key: (counts[key], recorded[f"{key}|{name}"]) for key in counts if f"{key}|{name}" in recorded}
    assert len(compared) >= 7_240
    assert {key: pair for key, pair in compared.items() if pair[0] != pair[1]} == {}

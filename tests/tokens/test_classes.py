"""The character classes are those of the installed tiktoken, code point by code point."""

from __future__ import annotations

import probe
import pytest

from aoai_cost._fast.split import character_classes


def test_the_compiled_classes_are_those_that_tiktoken_shows() -> None:
    ours, probed = character_classes(), bytes(probe.probed_classes())
    wrong = [f"U+{code:04X}" for code in range(probe.CODE_POINTS) if ours[code] != probed[code]]
    assert wrong == []


def test_the_header_is_what_the_probe_writes() -> None:
    assert probe.HEADER.read_text("utf-8") == probe.header_text()


@pytest.mark.parametrize(
    ("name", "count"),
    [("CASELESS", 404 + 136_477), ("LOWER", 2_258), ("UPPER", 1_858 + 31), ("MARK", 2_501), ("NUMBER", 1_911)],
)
def test_as_many_as_in_unicode_16(name: str, count: int) -> None:
    # Counted from the Unicode Character Database 16.0; newer and older tables have other counts.
    number = list(probe.CLASSES).index(name)
    assert character_classes().count(number) == count
